/* Jensen-Shannon divergence of two groups for many replicates: the work, once for every instruction set.

   Sixteen replicates are worked on side by side. In each, a row adds to one 64-bit number: the high bits hold the
   balanced mass in fixed point, the low bits how many rows of the own manufacturer there are. The scale is a multiple
   of every manufacturer's row count (where that fits), so that masses are exact and one addition per row serves both.

   An edge is where the mass first reaches k/K. The walk to it starts from the last place at which no replicate had
   reached it yet, and ends when all have: replicates differ little, so that a row is looked at once or twice in all.
   `rest` is the number minus the threshold: negative before the edge, and what it is when it first is not says where
   the edge was (mass) and how many own rows came before it.

   GNU vector extensions; the same operations in the same order on every instruction set. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "divergence.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define WIDTH 8
#elif defined(__AVX2__)
#define WIDTH 4
#else
#define WIDTH 2
#endif
#define PARTS (DIVERGENCE_LANES / WIDTH)
#define LANES DIVERGENCE_LANES
#define CHUNK DIVERGENCE_CHUNK
#define TOP 62 /* the mass of everything is at most 2^TOP, so that differences fit a signed number */
#define MAX_ERROR 1e-12
#define NOTHING 1e-10  /* shares below are what rounding leaves of none */
#define ROUNDING 8e-15 /* twice a divergence below is 0: identical groups differ by rounding only */

typedef int64_t ints __attribute__((vector_size(8 * WIDTH)));
typedef uint64_t unsigneds __attribute__((vector_size(8 * WIDTH)));
typedef double doubles __attribute__((vector_size(8 * WIDTH)));

static inline ints all(int64_t x) { return (ints){0} + x; }

/* `next` where `found` is still negative. */
static inline ints first(ints found, ints next) {
#if defined(__AVX512F__)
    return (ints)_mm512_min_epu64((__m512i)found, (__m512i)next); /* negative numbers are the largest; next only grows */
#elif defined(__AVX2__)
    return (ints)_mm256_blendv_pd((__m256d)found, (__m256d)next, (__m256d)found); /* looks at the sign only */
#else
#if defined(__SSE2__)
    ints unset = (ints)_mm_srai_epi32(_mm_shuffle_epi32((__m128i)found, 0xf5), 31); /* there is no 64-bit comparison */
#else
    ints unset = found < 0;
#endif
    return (next & unset) | (found & ~unset);
#endif
}

static inline int any_negative(ints x) {
#if defined(__AVX512DQ__)
    return _mm512_movepi64_mask((__m512i)x) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_pd((__m256d)x) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_pd((__m128d)x) != 0;
#else
    int64_t some = 0;
    for (int i = 0; i < WIDTH; i++) some |= x[i];
    return some < 0;
#endif
}

/* x = m 2^e with m in [sqrt 1/2, sqrt 2), x in (0, 2^1000). */
static inline doubles split(doubles x, doubles *e) {
    const int64_t root = 0x3FE6A09E667F3BCDLL; /* bits of sqrt(1/2) */
    ints bits = (ints)x;
    ints biased = (ints)((unsigneds)(bits - root + (1024LL << 52)) >> 52); /* e + 1024 */
    *e = (doubles)(biased | 0x4330000000000000LL) - (4503599627370496.0 + 1024.0);
    return (doubles)(bits - ((biased - 1024) << 52));
}

static inline int all_negative(ints x) {
#if defined(__AVX512DQ__)
    return _mm512_movepi64_mask((__m512i)x) == 0xff;
#elif defined(__AVX2__)
    return _mm256_movemask_pd((__m256d)x) == 0xf;
#else
    return !any_negative(~x);
#endif
}

#define LOGS (2 * PARTS)

/* x[i] = p[i] log2(a[i]) + q[i] log2(b[i]), a and b in (0, 2^1000). One division serves both logarithms, and all of them
   go side by side: one alone would mostly wait for its own last result. */
static inline void weighted_logs(const doubles *p, const doubles *a, const doubles *q, const doubles *b, doubles *x) {
    static const double term[] = {1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0};
    doubles e[LOGS], m[LOGS], s[LOGS], z[LOGS], sum[LOGS];
    for (int i = 0; i < PARTS; i++) {
        m[i] = split(a[i], &e[i]);
        m[PARTS + i] = split(b[i], &e[PARTS + i]);
    }
    for (int i = 0; i < PARTS; i++) {
        doubles above_a = m[i] + 1.0, above_b = m[PARTS + i] + 1.0, per = 1.0 / (above_a * above_b);
        s[i] = (m[i] - 1.0) * above_b * per;
        s[PARTS + i] = (m[PARTS + i] - 1.0) * above_a * per;
    }
    /* log2(m) = 2 / ln 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.172: nine terms */
    for (int i = 0; i < LOGS; i++) {
        z[i] = s[i] * s[i];
        sum[i] = z[i] * (1.0 / 17.0) + term[0];
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < LOGS; i++) sum[i] = sum[i] * z[i] + term[k];
    for (int i = 0; i < LOGS; i++) sum[i] = e[i] + sum[i] * s[i] * 2.885390081777926814720;
    for (int i = 0; i < PARTS; i++) x[i] = p[i] * sum[i] + q[i] * sum[PARTS + i];
}

/* x >= 0, rounded once: the high half as a multiple of 2^32 and the low one are exact doubles. */
static inline doubles to_doubles(ints x) {
#if defined(__AVX512DQ__)
    return __builtin_convertvector(x, doubles);
#else
    doubles high = (doubles)((ints)((unsigneds)x >> 32) | 0x4530000000000000LL);
    doubles low = (doubles)((x & 0xffffffffLL) | 0x4330000000000000LL);
    return (high - 19342813118337666422669312.0) + low; /* 2^84 + 2^52 */
#endif
}

static inline doubles all_doubles(double x) { return (doubles){0} + x; }

static inline doubles keep(doubles x, ints mask) { return (doubles)((ints)x & mask); }

static int64_t common_multiple(int64_t a, int64_t b, int64_t limit) {
    int64_t x = a, y = b;
    while (y) {
        int64_t r = x % y;
        x = y;
        y = r;
    }
    return b / x > limit / a ? 0 : a * (b / x); /* 0: beyond the limit */
}

/* One contrast in 16 replicates. */
typedef struct {
    ints *addend;              /* (rows + 1, PARTS): what a row adds; the last one is the padding */
    ints *threshold;           /* (bins, PARTS): of edge k + 1; the last one is above all mass */
    ints total[PARTS];         /* of all rows */
    doubles per_own[PARTS];    /* 1 / own rows */
    doubles per_mass[PARTS];   /* 1 / scale */
    ints present[PARTS];       /* -1 where both groups have rows, else 0 */
    int own_bits;
} lanes;

/* Manufacturer and count of row r in the lanes from `start` on; lanes beyond the last replicate repeat it. */
static inline void read_row(const divergence_task *t, int64_t r, int64_t start, int32_t *code, int32_t *count) {
    const int64_t B = t->replicates, width = B - start < LANES ? B - start : LANES;
    const int16_t *codes = t->fixed_codes ? NULL : t->codes + r * B + start;
    const int32_t *counts = t->counts ? t->counts + r * B + start : NULL;
    for (int i = 0; i < LANES; i++) {
        const int64_t at = i < width ? i : width - 1;
        code[i] = codes ? codes[at] : t->codes[r];
        count[i] = counts ? counts[at] : 1;
    }
}

/* Count the rows of every manufacturer in each lane, (manufacturers, LANES). */
static void count_rows(const divergence_task *t, int64_t start, int64_t *rows_of) {
    int32_t code[LANES], count[LANES];
    memset(rows_of, 0, (size_t)(t->manufacturers * LANES) * sizeof *rows_of);
    for (int64_t r = 0; r < t->rows; r++) {
        read_row(t, r, start, code, count);
        if (t->fixed_codes)
            for (int i = 0; i < LANES; i++) rows_of[t->codes[r] * LANES + i] += count[i];
        else
            for (int i = 0; i < LANES; i++) rows_of[code[i] * LANES + i] += count[i];
    }
}

/* Fill in the numbers of contrast c. `unit` has room for (manufacturers, LANES). */
static int prepare(const divergence_task *t, int64_t c, int64_t start, const int64_t *rows_of, int64_t *unit,
                   lanes *l) {
    const int64_t L = t->manufacturers, mine = t->own[c];
    const uint8_t *others = t->others + c * L;
    int64_t largest = 1, mixed = 0;
    for (int i = 0; i < LANES; i++)
        if (rows_of[mine * LANES + i] > largest) largest = rows_of[mine * LANES + i];
    for (int64_t m = 0; m < L; m++) mixed += others[m];
    l->own_bits = 64 - __builtin_clzll((unsigned long long)largest);
    const int64_t full = 1LL << (TOP - l->own_bits);

    for (int i = 0; i < LANES; i++) {
        const int64_t of_own = rows_of[mine * LANES + i];
        int64_t multiple = 2 * mixed, sum = 0, weight = 0;
        int there = of_own > 0;
        if (there) multiple = common_multiple(multiple, of_own, full);
        for (int64_t m = 0; m < L; m++) {
            if (!others[m]) continue;
            if (!rows_of[m * LANES + i]) there = 0;
            else if (multiple) multiple = common_multiple(multiple, rows_of[m * LANES + i], full);
        }
        const int64_t scale = multiple ? full / multiple * multiple : full;
        for (int64_t m = 0; m < L; m++) {
            const int64_t of = rows_of[m * LANES + i];
            const int64_t parts = !there ? 0 : m == mine ? 2 * of : others[m] ? 2 * mixed * of : 0;
            const int64_t one = parts ? (scale + parts / 2) / parts : 0;
            sum += one * of;
            weight += one ? of : 0;
            unit[m * LANES + i] = (one << l->own_bits) + (there && m == mine);
        }
        /* Where no scale suits all, each unit is off by half at most. */
        if (there && !multiple && 0.5 * (double)weight > MAX_ERROR * (double)scale) return 2;
        const int part = i / WIDTH, lane = i % WIDTH;
        for (int k = 1; k <= t->bins; k++) {
            double at = ceil(((double)k / t->bins - t->tolerance) * (double)scale);
            at = k < t->bins ? at * (double)(1LL << l->own_bits) : 1.5 * (double)(1LL << TOP);
            /* 0 where a group has no rows: every edge is passed at once, and the result is not used. */
            l->threshold[(k - 1) * PARTS + part][lane] = there ? (int64_t)at : 0;
        }
        l->total[part][lane] = (sum << l->own_bits) + (there ? of_own : 0);
        l->per_own[part][lane] = there ? 1.0 / (double)of_own : 0.0;
        l->per_mass[part][lane] = 1.0 / (double)scale;
        l->present[part][lane] = there ? -1 : 0;
    }
    int64_t *addend = (int64_t *)l->addend;
    int32_t code[LANES], count[LANES];
    for (int64_t r = 0; r < t->rows; r++, addend += LANES) {
        read_row(t, r, start, code, count);
        if (t->fixed_codes)
            for (int i = 0; i < LANES; i++) addend[i] = count[i] * unit[t->codes[r] * LANES + i];
        else
            for (int i = 0; i < LANES; i++) addend[i] = count[i] * unit[code[i] * LANES + i];
    }
    memset(addend, 0, LANES * sizeof *addend); /* the padding */
    return 0;
}

/* The numbers at the edges of one feature: at[k] for edge k + 1. `order` counts in units of 64-bit numbers. */
static inline __attribute__((always_inline)) void find_edges(const lanes *l, const uint32_t *order,
                                                             const int64_t *inside, int64_t padded, int bins, ints *seen, ints *at) {
    const int64_t *addend = (const int64_t *)l->addend;
    ints start[PARTS];
    int64_t from = 0;
    for (int p = 0; p < PARTS; p++) start[p] = -l->threshold[p];
    for (int k = 0; k < bins - 1; k++) {
        const ints *now = l->threshold + k * PARTS, *then = now + PARTS;
        ints rest[PARTS], found[PARTS], step[PARTS];
        int64_t next_from = from;
        for (int p = 0; p < PARTS; p++) {
            rest[p] = start[p];
            found[p] = all(-1);
            step[p] = then[p] - now[p];
            seen[from / CHUNK * PARTS + p] = rest[p];
        }
        for (int64_t j = from; j < padded;) {
            for (int i = 0; i < CHUNK; i++) {
                const ints *add = (const ints *)(addend + order[j + i]);
                for (int p = 0; p < PARTS; p++) {
                    rest[p] += add[p];
                    found[p] = first(found[p], inside ? rest[p] | inside[j + i] : rest[p]);
                }
            }
            j += CHUNK;
            ints before = all(-1), behind = all(0);
            for (int p = 0; p < PARTS; p++) {
                seen[j / CHUNK * PARTS + p] = rest[p];
                before &= rest[p] - step[p];
                behind |= found[p];
            }
            /* Nobody is at the next edge yet: its walk can start here. Noted without a branch, which would be missed. */
            next_from = all_negative(before) ? j : next_from;
            if (!any_negative(behind)) break;
        }
        for (int p = 0; p < PARTS; p++) {
            at[k * PARTS + p] = found[p] + now[p];
            start[p] = seen[next_from / CHUNK * PARTS + p] - step[p];
        }
        from = next_from;
    }
}

/* D = 1/2 sum of p log2(p / m) + q log2(q / m), m = (p + q) / 2: the same as H(m) - (H(p) + H(q)) / 2. */
static inline void sum_up(const lanes *l, const ints *at, int bins, double *divergence, double *effective) {
    const int64_t low = (1LL << l->own_bits) - 1;
    ints last_mass[PARTS], last_own[PARTS], used[PARTS];
    doubles d[PARTS];
    for (int i = 0; i < PARTS; i++) {
        last_mass[i] = last_own[i] = used[i] = all(0);
        d[i] = all_doubles(0.0);
    }
    for (int k = 0; k < bins; k++) {
        doubles p[PARTS], q[PARTS], a[PARTS], b[PARTS], x[PARTS];
        ints holds[PARTS];
        for (int i = 0; i < PARTS; i++) {
            ints here = k < bins - 1 ? at[k * PARTS + i] : l->total[i];
            ints mass = (ints)((unsigneds)here >> l->own_bits), own = here & low;
            doubles m = to_doubles(mass - last_mass[i]) * l->per_mass[i];
            p[i] = to_doubles(own - last_own[i]) * l->per_own[i];
            q[i] = 2.0 * m - p[i];
            q[i] = keep(q[i], q[i] > NOTHING);
            holds[i] = m > NOTHING;
            doubles per = 1.0 / (m + keep(all_doubles(1.0), ~holds[i]));
            a[i] = p[i] * per + 1e-300;
            b[i] = q[i] * per + 1e-300;
            last_mass[i] = mass;
            last_own[i] = own;
        }
        weighted_logs(p, a, q, b, x);
        for (int i = 0; i < PARTS; i++) {
            d[i] += keep(x[i], holds[i]);
            used[i] -= holds[i];
        }
    }
    for (int i = 0; i < PARTS; i++) {
        d[i] = keep(d[i] * 0.5, (d[i] > ROUNDING) | (d[i] < -ROUNDING));
        d[i] = (doubles)((ints)d[i] | ~l->present[i]); /* all bits set is a NaN */
        doubles count = to_doubles(used[i]);
        memcpy(divergence + i * WIDTH, &d[i], sizeof d[i]);
        memcpy(effective + i * WIDTH, &count, sizeof count);
    }
}

static int run(const divergence_task *t) {
    const size_t edges = (size_t)t->bins * PARTS, orders = (size_t)(t->features * t->padded);
    lanes l;
    const size_t table = (size_t)(t->manufacturers * LANES) * sizeof(int64_t);
    int64_t *rows_of = malloc(table), *unit = malloc(table);
    uint32_t *order = malloc((orders + 1) * sizeof *order);
    l.addend = aligned_alloc(64, ((size_t)t->rows + 1) * PARTS * sizeof(ints));
    l.threshold = aligned_alloc(64, edges * sizeof(ints));
    ints *at = aligned_alloc(64, edges * sizeof(ints));
    ints *seen = aligned_alloc(64, ((size_t)(t->padded / CHUNK) + 1) * PARTS * sizeof(ints)); /* after each chunk */
    int status = rows_of && unit && order && l.addend && l.threshold && at && seen ? 0 : 1;
    for (size_t i = 0; i < orders && !status; i++) order[i] = (uint32_t)t->order[i] * LANES;
    for (int64_t start = 0; start < t->replicates && !status; start += LANES) {
        const int64_t width = t->replicates - start < LANES ? t->replicates - start : LANES;
        count_rows(t, start, rows_of);
        for (int64_t c = 0; c < t->contrasts; c++) {
            if (t->share[c] == 0.0) continue;
            if ((status = prepare(t, c, start, rows_of, unit, &l))) break;
            for (int64_t f = 0; f < t->features; f++) {
                const uint32_t *own = order + f * t->padded;
                if (t->inside) find_edges(&l, own, t->inside + f * t->padded, t->padded, t->bins, seen, at);
                else find_edges(&l, own, NULL, t->padded, t->bins, seen, at);
                const int64_t to = (f * t->contrasts + c) * t->replicates + start;
                double d[LANES], used[LANES];
                sum_up(&l, at, t->bins, d, used);
                for (int64_t i = 0; i < width; i++) t->out[to + i] += t->share[c] * d[i];
                if (t->effective)
                    for (int64_t i = 0; i < width; i++) t->effective[to + i] += t->share[c] * used[i];
            }
        }
    }
    free(rows_of);
    free(unit);
    free(order);
    free(l.addend);
    free(l.threshold);
    free(at);
    free(seen);
    return status;
}
