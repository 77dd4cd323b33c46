/* The walk over the rows and the sums over the bins, for numbers of BITS bits: divergence_kernel.h includes it for 32
   and for 64. A row has ROW_BYTES in the tables of either; they hold as many replicates as there is room for. */

#if BITS == 32
#define OF(name) name##_32
#define NUMBER int32_t
#else
#define OF(name) name##_64
#define NUMBER int64_t
#endif
#define ACROSS (ROW_BYTES / (BITS / 8)) /* replicates side by side */

typedef NUMBER OF(vector) __attribute__((vector_size(VECTOR)));
typedef NUMBER OF(some) __attribute__((vector_size(BITS / 8 * WIDTH))); /* as many as there are doubles in a vector */

/* `next` where `found` is still negative. */
static inline OF(vector) OF(first)(OF(vector) found, OF(vector) next) {
#if defined(__AVX512F__) && BITS == 32 /* as unsigned, negative numbers are the largest; and next only grows */
    return (OF(vector))_mm512_min_epu32((__m512i)found, (__m512i)next);
#elif defined(__AVX512F__)
    return (OF(vector))_mm512_min_epu64((__m512i)found, (__m512i)next);
#elif defined(__AVX2__) && BITS == 32
    return (OF(vector))_mm256_min_epu32((__m256i)found, (__m256i)next);
#elif defined(__AVX2__)
    return (OF(vector))_mm256_blendv_pd((__m256d)found, (__m256d)next, (__m256d)found); /* looks at the sign only */
#else
#if defined(__SSE2__) && BITS == 64 /* there is no 64-bit comparison */
    OF(vector) unset = (OF(vector))_mm_srai_epi32(_mm_shuffle_epi32((__m128i)found, 0xf5), 31);
#else
    OF(vector) unset = found < 0;
#endif
    return (next & unset) | (found & ~unset);
#endif
}

static inline int OF(any_negative)(OF(vector) x) {
#if defined(__AVX512DQ__) && BITS == 32
    return _mm512_movepi32_mask((__m512i)x) != 0;
#elif defined(__AVX512DQ__)
    return _mm512_movepi64_mask((__m512i)x) != 0;
#elif defined(__AVX2__) && BITS == 32
    return _mm256_movemask_ps((__m256)x) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_pd((__m256d)x) != 0;
#elif defined(__SSE2__) && BITS == 32
    return _mm_movemask_ps((__m128)x) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_pd((__m128d)x) != 0;
#else
    NUMBER some = 0;
    for (int i = 0; i < VECTOR * 8 / BITS; i++) some |= x[i];
    return some < 0;
#endif
}

/* Whether every replicate is past its edge, and whether none is after another `step`. */
static inline int OF(all_past)(const OF(vector) *rest) {
    OF(vector) behind = rest[0];
    for (int p = 1; p < PARTS; p++) behind |= rest[p];
    return !OF(any_negative)(behind);
}

static inline int OF(all_before)(const OF(vector) *rest, const OF(vector) *step) {
    OF(vector) past = ~(rest[0] - step[0]);
    for (int p = 1; p < PARTS; p++) past |= ~(rest[p] - step[p]);
    return !OF(any_negative)(past);
}

/* x >= 0, rounded once. */
static inline doubles OF(to_doubles)(OF(some) x) {
#if BITS == 32 && defined(__AVX512F__) /* the compiler would convert each half on its own */
    return (doubles)_mm512_cvtepi32_pd((__m256i)x);
#elif BITS == 32 && defined(__SSE2__) && !defined(__AVX2__)
    return (doubles)_mm_cvtepi32_pd(_mm_set_epi64x(0, (long long)x));
#elif BITS == 32 || defined(__AVX512DQ__)
    return __builtin_convertvector(x, doubles);
#else /* the high half as a multiple of 2^32 and the low one are exact doubles */
    doubles high = (doubles)((ints)((unsigneds)x >> 32) | 0x4530000000000000LL);
    doubles low = (doubles)((x & 0xffffffffLL) | 0x4330000000000000LL);
    return (high - 19342813118337666422669312.0) + low; /* 2^84 + 2^52 */
#endif
}

/* Fill in the tables for the replicates from `start` on, the lanes from `lane` on. */
static void OF(fill)(const divergence_task *t, lanes *l, int64_t start, int lane) {
    NUMBER *addend = l->addend, *threshold = l->threshold, *at = l->at;
    int32_t code[ACROSS], count[ACROSS];
    for (int64_t r = 0; r < t->rows; r++, addend += ACROSS) {
        read_row(t, r, start + lane, ACROSS, code, count);
        const int64_t *unit = l->unit + lane, *same = unit + code[0] * LANES;
        if (t->fixed_codes)
            for (int i = 0; i < ACROSS; i++) addend[i] = (NUMBER)(count[i] * same[i]);
        else
            for (int i = 0; i < ACROSS; i++) addend[i] = (NUMBER)(count[i] * unit[code[i] * LANES + i]);
    }
    memset(addend, 0, ROW_BYTES); /* the padding */
    for (int k = 0; k < t->bins - 1; k++)
        for (int i = 0; i < ACROSS; i++) threshold[k * ACROSS + i] = (NUMBER)l->edge[k * LANES + lane + i];
    memset(at, 0, ROW_BYTES);
    for (int i = 0; i < ACROSS; i++) at[t->bins * ACROSS + i] = (NUMBER)l->total[lane + i];
}

/* The numbers at the edges of one feature. */
static inline __attribute__((always_inline)) void OF(find_edges)(const lanes *l, const uint32_t *order,
                                                                 const int64_t *inside, int64_t chunks, int edges,
                                                                 guess *guessed) {
    const int64_t *addend = l->addend;
    const OF(vector) *now = l->threshold;
    OF(vector) *at = (OF(vector) *)l->at + PARTS, *seen = l->seen, start[PARTS];
    int64_t from = 0;
    for (int p = 0; p < PARTS; p++) start[p] = -now[p];
    for (int k = 0; k < edges; k++, now += PARTS, at += PARTS) {
        OF(vector) rest[PARTS], found[PARTS];
        int64_t j = from, stop = from + (guessed[k].length >> GUESS_BITS) + 1;
        stop = stop < chunks ? stop : chunks;
        for (int p = 0; p < PARTS; p++) {
            seen[from * PARTS + p] = rest[p] = start[p];
            found[p] = (OF(vector)){0} - 1;
        }
        for (;;) {
            for (; j < stop; j++) {
                const uint32_t *row = order + j * CHUNK;
#pragma GCC unroll 8
                for (int i = 0; i < CHUNK; i++) {
                    const OF(vector) *add = (const OF(vector) *)(addend + row[i]);
                    for (int p = 0; p < PARTS; p++) {
                        rest[p] += add[p];
                        found[p] = OF(first)(found[p], inside ? rest[p] | (NUMBER)inside[j * CHUNK + i] : rest[p]);
                    }
                }
                for (int p = 0; p < PARTS; p++) seen[(j + 1) * PARTS + p] = rest[p];
            }
            if (OF(all_past)(found) || stop >= chunks) break;
            stop++;
            guessed[k].length += GUESS_UP;
        }
        for (int p = 0; p < PARTS; p++) at[p] = found[p] + now[p];
        /* Guesses creep to the shorter walk while it would do, and jump back when it does not. */
        guessed[k].length -= (guessed[k].length > 0) & OF(all_past)(seen + (stop - 1) * PARTS);
        if (k == edges - 1) break;

        OF(vector) step[PARTS];
        for (int p = 0; p < PARTS; p++) step[p] = now[PARTS + p] - now[p];
        int64_t next = from + (guessed[k].skip >> GUESS_BITS);
        next = next < stop ? next : stop;
        for (; next > from && !OF(all_before)(seen + next * PARTS, step); next--) guessed[k].skip -= GUESS_UP;
        guessed[k].skip += (next < stop) & OF(all_before)(seen + (next + (next < stop)) * PARTS, step);
        for (int p = 0; p < PARTS; p++) start[p] = seen[next * PARTS + p] - step[p];
        from = next;
    }
}

/* D = sum of m + p/2 log2(p / 2m) + q/2 log2(q / 2m), m = (p + q) / 2: the same as H(m) - (H(p) + H(q)) / 2. The halves
   are the groups' parts of the mass; the sum of m is known. */
static inline void OF(sum_up)(const lanes *l, int bins, int lane, double *divergence) {
    const NUMBER low = (NUMBER)((1LL << l->own_bits) - 1), *at = l->at;
    const int side = SIDE * WIDTH < ACROSS ? SIDE : ACROSS / WIDTH;
    for (int from = 0; from < ACROSS; from += side * WIDTH) {
        doubles sum[SIDE], unit[SIDE], nothing[SIDE];
        for (int i = 0; i < side; i++) {
            sum[i] = all_doubles(0.0);
            memcpy(&unit[i], l->own_unit + lane + from + i * WIDTH, sizeof unit[i]);
            memcpy(&nothing[i], l->nothing + lane + from + i * WIDTH, sizeof nothing[i]);
        }
        for (int k = 0; k < bins; k++) {
            doubles p[SIDE], m[SIDE];
            for (int i = 0; i < side; i++) {
                OF(some) here, last;
                memcpy(&here, at + (k + 1) * ACROSS + from + i * WIDTH, sizeof here);
                memcpy(&last, at + k * ACROSS + from + i * WIDTH, sizeof last);
                const OF(some) both = here - last; /* of mass and of own rows: neither ever decreases */
                m[i] = OF(to_doubles)(both >> l->own_bits);
                p[i] = OF(to_doubles)(both & low) * unit[i];
            }
            add_logs(side, p, m, nothing, sum);
        }
        for (int i = 0; i < side; i++) {
            doubles per, whole, there;
            memcpy(&per, l->per_mass + lane + from + i * WIDTH, sizeof per);
            memcpy(&whole, l->whole + lane + from + i * WIDTH, sizeof whole);
            memcpy(&there, l->present + lane + from + i * WIDTH, sizeof there);
            doubles d = whole + sum[i] * per;
            d = keep(d, (d > ROUNDING) | (d < -ROUNDING)) + there;
            memcpy(divergence + from + i * WIDTH, &d, sizeof d);
        }
    }
}

/* How many bins hold mass in one replicate. */
static int OF(count_bins)(const lanes *l, int bins, int lane, int64_t i) {
    const NUMBER *at = l->at;
    int used = 0;
    for (int k = 0; k < bins; k++) {
        const NUMBER both = at[(k + 1) * ACROSS + i] - at[k * ACROSS + i];
        used += (double)(both >> l->own_bits) > l->nothing[lane + i];
    }
    return used;
}

/* All features of contrast c in the replicates from `start` on, the lanes from `lane` on. */
static __attribute__((noinline)) void OF(walk)(const divergence_task *t, lanes *l, int64_t c, int64_t start, int lane) {
    const int64_t left = t->replicates - start - lane, width = left < ACROSS ? left : ACROSS;
    OF(fill)(t, l, start, lane);
    for (int64_t f = 0; f < t->features; f++) {
        const uint32_t *order = l->order + f * t->padded;
        const int64_t to = (f * t->contrasts + c) * t->replicates + start + lane;
        if (t->inside)
            OF(find_edges)(l, order, t->inside + f * t->padded, t->padded / CHUNK, t->bins - 1, l->guessed);
        else OF(find_edges)(l, order, NULL, t->padded / CHUNK, t->bins - 1, l->guessed);
        double d[ACROSS];
        OF(sum_up)(l, t->bins, lane, d);
        for (int64_t i = 0; i < width; i++) t->out[to + i] += t->share[c] * d[i];
        if (t->effective)
            for (int64_t i = 0; i < width; i++) t->effective[to + i] += t->share[c] * OF(count_bins)(l, t->bins, lane, i);
    }
}

#undef OF
#undef NUMBER
#undef ACROSS
