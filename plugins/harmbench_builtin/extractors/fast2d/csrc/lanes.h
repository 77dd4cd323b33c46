/* Vectors, and the few operations on them that the compiler does not write well by itself.
 *
 * Sums over pixels run in 8 lanes (as PARTS native vectors) and are joined in a fixed order, and products are never
 * contracted with sums, so that every instruction set gives the same bits. `v4` has a lane per direction.
 */
#ifndef FAST2D_LANES_H
#define FAST2D_LANES_H

#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__AVX512BW__)
#define NATIVE 64
#elif defined(__AVX2__)
#define NATIVE 32
#else
#define NATIVE 16
#endif

enum { LANES = NATIVE / 8, PARTS = 8 / LANES };          /* doubles in a native vector; vectors for 8 doubles */
enum { BYTES = NATIVE > 32 ? 32 : NATIVE };              /* pixels that are looked at together */
typedef double vd __attribute__((vector_size(NATIVE)));
typedef int64_t md __attribute__((vector_size(NATIVE)));
typedef uint8_t bytes_t __attribute__((vector_size(BYTES)));
typedef uint16_t halves_t __attribute__((vector_size(2 * BYTES)));
typedef int16_t signed_halves_t __attribute__((vector_size(2 * BYTES)));
typedef double v2 __attribute__((vector_size(16)));
typedef int64_t m2 __attribute__((vector_size(16)));
typedef double v4 __attribute__((vector_size(32)));
typedef int64_t m4 __attribute__((vector_size(32)));
typedef int32_t i4 __attribute__((vector_size(16)));

/* native vectors of doubles */
static inline vd all(double x) { return x - (vd){0}; }
static inline vd load(const double *p) { vd x; memcpy(&x, p, sizeof x); return x; }
static inline vd choose(md m, vd a, vd b) { return (vd)((m & (md)a) | (~m & (md)b)); }
static inline vd keep(md m, vd a) { return (vd)(m & (md)a); }
static inline vd magnitude(vd a) { return (vd)((md)a & INT64_MAX); }

/* Lane 0 to 7 of PARTS vectors, always joined in the same order. */
static inline double join(const vd *part) {
    double x[8];
    memcpy(x, part, sizeof x);
    return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}

/* four doubles */
static inline v4 all4(double x) { return (v4){x, x, x, x}; }
static inline v4 load4(const double *p) { v4 x; memcpy(&x, p, sizeof x); return x; }
static inline void store4(double *p, v4 x) { memcpy(p, &x, sizeof x); }
static inline v4 select4(m4 m, v4 a, v4 b) { return (v4)((m & (m4)a) | (~m & (m4)b)); }
static inline v4 abs4(v4 a) { return (v4)((m4)a & INT64_MAX); }
static inline double sum4(v4 a) { return (a[0] + a[1]) + (a[2] + a[3]); }
static inline i4 loadi4(const int32_t *p) { i4 x; memcpy(&x, p, sizeof x); return x; }

#if NATIVE == 16
/* Comparisons and conversions of vectors wider than the machine's are taken apart by hand: GCC does it by element. */
static inline v2 low2(v4 a) { return (v2){a[0], a[1]}; }
static inline v2 high2(v4 a) { return (v2){a[2], a[3]}; }
static inline m4 both(m2 a, m2 b) { return (m4){a[0], a[1], b[0], b[1]}; }
static inline m4 more4(v4 a, v4 b) { return both(low2(a) > low2(b), high2(a) > high2(b)); }
static inline m4 at_least4(v4 a, v4 b) { return both(low2(a) >= low2(b), high2(a) >= high2(b)); }
#else
static inline m4 more4(v4 a, v4 b) { return a > b; }
static inline m4 at_least4(v4 a, v4 b) { return a >= b; }
#endif

#if NATIVE == 16 && defined(__SSE2__)
static inline v4 to_double4(i4 a) {
    const v2 l = (v2)_mm_cvtepi32_pd((__m128i)a), h = (v2)_mm_cvtepi32_pd(_mm_unpackhi_epi64((__m128i)a, (__m128i)a));
    return (v4){l[0], l[1], h[0], h[1]};
}
static inline v4 root4(v4 a) {
    const v2 l = (v2)_mm_sqrt_pd((__m128d)low2(a)), h = (v2)_mm_sqrt_pd((__m128d)high2(a));
    return (v4){l[0], l[1], h[0], h[1]};
}
#elif defined(__AVX2__)
static inline v4 to_double4(i4 a) { return (v4)_mm256_cvtepi32_pd((__m128i)a); }
static inline v4 root4(v4 a) { return (v4)_mm256_sqrt_pd((__m256d)a); }
#else
static inline v4 to_double4(i4 a) { return __builtin_convertvector(a, v4); }
static inline v4 root4(v4 a) { return (v4){__builtin_sqrt(a[0]), __builtin_sqrt(a[1]), __builtin_sqrt(a[2]), __builtin_sqrt(a[3])}; }
#endif

/* bytes and halves */
static inline bytes_t load_bytes(const uint8_t *p) { bytes_t x; memcpy(&x, p, sizeof x); return x; }
static inline void store_bytes(uint8_t *p, bytes_t x) { memcpy(p, &x, sizeof x); }
static inline void store_halves(uint16_t *p, halves_t x) { memcpy(p, &x, sizeof x); }
static inline bytes_t same_as(bytes_t a, bytes_t b) { return (bytes_t)(a == b); } /* 255 where true */

#if NATIVE == 16 && defined(__SSE2__)
static inline halves_t widen(bytes_t a) {
    const __m128i zero = _mm_setzero_si128();
    const __m128i part[2] = {_mm_unpacklo_epi8((__m128i)a, zero), _mm_unpackhi_epi8((__m128i)a, zero)};
    halves_t x;
    memcpy(&x, part, sizeof x);
    return x;
}
#else
static inline halves_t widen(bytes_t a) { return __builtin_convertvector(a, halves_t); }
#endif

/* Bit k of the result: byte k of the 64 is not 0. All bytes must be below 128. */
static inline uint64_t nonzero64(const uint8_t *b) {
#if defined(__AVX512BW__)
    return _mm512_test_epi8_mask(_mm512_loadu_si512(b), _mm512_set1_epi8(-1));
#elif defined(__AVX2__)
    const __m256i zero = _mm256_setzero_si256();
    uint64_t l = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_loadu_si256((const __m256i *)b), zero));
    uint64_t h = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_loadu_si256((const __m256i *)(b + 32)), zero));
    return l | h << 32;
#elif defined(__SSE2__)
    const __m128i zero = _mm_setzero_si128();
    uint64_t r = 0;
    for (int k = 0; k < 4; k++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(b + 16 * k));
        r |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpgt_epi8(x, zero)) << (16 * k);
    }
    return r;
#else
    uint64_t r = 0;
    for (int k = 0; k < 64; k++) r |= (uint64_t)(b[k] != 0) << k;
    return r;
#endif
}

#endif
