/* The logarithms of the divergence, in doubles: the same operations in the same order on every instruction set. */

#define SIDE 4 /* vectors worked on together: one alone would mostly wait for its own last result */

typedef int64_t ints __attribute__((vector_size(VECTOR)));
typedef uint64_t unsigneds __attribute__((vector_size(VECTOR)));
typedef double doubles __attribute__((vector_size(VECTOR)));

static inline doubles all_doubles(double x) { return (doubles){0} + x; }

static inline doubles keep(doubles x, ints mask) { return (doubles)((ints)x & mask); }

static inline doubles least(doubles a, doubles b) {
#if defined(__AVX512F__)
    return (doubles)_mm512_min_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
    return (doubles)_mm256_min_pd((__m256d)a, (__m256d)b);
#elif defined(__SSE2__)
    return (doubles)_mm_min_pd((__m128d)a, (__m128d)b);
#else
    const ints less = a < b;
    return (doubles)(((ints)a & less) | ((ints)b & ~less));
#endif
}

static inline doubles most(doubles a, doubles b) {
#if defined(__AVX512F__)
    return (doubles)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
    return (doubles)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__SSE2__)
    return (doubles)_mm_max_pd((__m128d)a, (__m128d)b);
#else
    const ints more = a > b;
    return (doubles)(((ints)a & more) | ((ints)b & ~more));
#endif
}

/* sum[i] += p log2(p / m) + q log2(q / m) with q = m - p, for m a whole number and p 0 or at least 1/2, or both 0; q is 0
   where it is not above `nothing`.

   With x the smaller of p and q as a share of m, x = 2^e t and t in [1, 2), the other share y in [1/2, 1]:
   log2 x = e + 1/2 + s P(s^2), s = (t - sqrt 2) / (t + sqrt 2), and log2 y = -1/2 + r P(r^2), r from 2 y. Both fractions
   are multiplied by m, and one division serves them. P is the Chebyshev fit of 2 atanh(s) / (s ln 2) to |s| <= 0.172; its
   error is 5e-16. */
static inline __attribute__((always_inline)) void add_logs(int side, const doubles *p, const doubles *m,
                                                           const doubles *nothing, doubles *sum) {
    static const double term[] = {0.26144407006393944, 0.3206163935263423, 0.4121984019742357,
                                  0.5770780172467822,  0.9617966939243335, 2.885390081777927};
    const int64_t fraction = 0xfffffffffffffLL;
    const double tiny = 0x1p-64, root = 1.41421356237309504880;
    doubles low[SIDE], high[SIDE], e[SIDE], s[2 * SIDE], z[2 * SIDE], log[2 * SIDE];
    for (int i = 0; i < side; i++) {
        doubles whole = m[i] + tiny, q = whole - p[i]; /* not 0, for the division; else `tiny` is rounded away */
        q = keep(q, q > nothing[i]);
        low[i] = least(p[i], q);
        high[i] = most(p[i], q);
        /* x < 1, so that the difference of the bits is negative: e in the upper ones, and t m is m plus the lower ones. */
        ints apart = (ints)(low[i] + tiny) - (ints)whole;
        doubles scaled = (doubles)((ints)whole + (apart & fraction));
        /* Half of the bits above 51, the last one set, are e + 1/2 + 4096, as an unsigned number; 2^51 makes it a double. */
        e[i] = (doubles)((ints)((unsigneds)apart >> 51) | 0x4320000000000001LL) - (0x1p51 + 4096.0);
        doubles middle = whole * root, twice = high[i] + high[i];
        doubles above_x = scaled + middle, above_y = twice + middle, per = 1.0 / (above_x * above_y);
        s[i] = (scaled - middle) * above_y * per;
        s[side + i] = (twice - middle) * above_x * per;
    }
    for (int i = 0; i < 2 * side; i++) {
        z[i] = s[i] * s[i];
        log[i] = z[i] * 0.2429183013526297 + term[0];
    }
    for (int k = 1; k < 6; k++)
        for (int i = 0; i < 2 * side; i++) log[i] = log[i] * z[i] + term[k];
    for (int i = 0; i < side; i++)
        sum[i] += low[i] * (log[i] * s[i] + e[i]) + high[i] * (log[side + i] * s[side + i] - 0.5);
}
