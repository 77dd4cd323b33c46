/* Vectors, and the few operations on them that the compiler does not write well by itself.
 *
 * Sums run in 4 lanes (one vector, or two where the machine's hold 2 doubles) and are joined in a fixed order, and
 * products are never contracted with sums, so that every instruction set gives the same bits. Longer vectors were not
 * faster for sums: these wait for the adder, not for more lanes.
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

/* Functions with many live values of their own: put into one, they would push each other's out of the registers. */
#define APART __attribute__((noinline))

#if defined(__AVX512BW__)
#define NATIVE 64
#elif defined(__AVX2__)
#define NATIVE 32
#else
#define NATIVE 16
#endif

enum { BYTES = NATIVE > 32 ? 32 : NATIVE };              /* pixels that are looked at together */
enum { LANES = BYTES / 8, PARTS = 4 / LANES };           /* doubles in a vector `vd`, vectors for 4 doubles */
typedef double vd __attribute__((vector_size(BYTES)));
typedef int64_t md __attribute__((vector_size(BYTES)));
typedef double wide_t __attribute__((vector_size(NATIVE))); /* where lanes are not summed */
enum { WIDE = NATIVE / 8 };
typedef uint8_t bytes_t __attribute__((vector_size(BYTES)));
typedef uint8_t bytes16_t __attribute__((vector_size(16)));
typedef uint16_t halves_t __attribute__((vector_size(32))); /* 16 numbers */
typedef int16_t signed_halves_t __attribute__((vector_size(32)));
typedef double v4 __attribute__((vector_size(32)));
typedef int64_t m4 __attribute__((vector_size(32)));
typedef int32_t i4 __attribute__((vector_size(16)));

/* vectors of doubles */
static inline vd all(double x) { return x - (vd){0}; }
static inline vd load(const double *p) { vd x; memcpy(&x, p, sizeof x); return x; }
#if NATIVE == 16 && defined(__SSE2__)
/* Written with `>`, GCC 12 makes elementwise branches of a comparison whose result is combined with others. */
static inline md more(vd a, vd b) { return (md)_mm_cmpgt_pd((__m128d)a, (__m128d)b); }
static inline md at_least(vd a, vd b) { return (md)_mm_cmpge_pd((__m128d)a, (__m128d)b); }
#else
static inline md more(vd a, vd b) { return a > b; }
static inline md at_least(vd a, vd b) { return a >= b; }
#endif
static inline vd choose(md m, vd a, vd b) { return (vd)((m & (md)a) | (~m & (md)b)); }
static inline vd keep(md m, vd a) { return (vd)(m & (md)a); }
static inline md between(vd x, double low, double high) { return at_least(x, all(low)) & at_least(all(high), x); }
static inline vd magnitude(vd a) { return (vd)((md)a & INT64_MAX); }

static inline vd root(vd a) {
    for (int k = 0; k < LANES; k++) a[k] = __builtin_sqrt(a[k]);
    return a;
}

/* The four lanes of PARTS vectors, always joined in the same order. */
static inline double join(const vd *part) {
    double x[4];
    memcpy(x, part, sizeof x);
    return (x[0] + x[1]) + (x[2] + x[3]);
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
/* taken apart by hand: GCC compares vectors wider than the machine's by element */
static inline m4 more4(v4 a, v4 b) {
    const md l = more((vd){a[0], a[1]}, (vd){b[0], b[1]}), h = more((vd){a[2], a[3]}, (vd){b[2], b[3]});
    return (m4){l[0], l[1], h[0], h[1]};
}
#else
static inline m4 more4(v4 a, v4 b) { return a > b; }
#endif

#if NATIVE == 16 && defined(__SSE2__)
static inline v4 to_double4(i4 a) {
    const vd l = (vd)_mm_cvtepi32_pd((__m128i)a), h = (vd)_mm_cvtepi32_pd(_mm_unpackhi_epi64((__m128i)a, (__m128i)a));
    return (v4){l[0], l[1], h[0], h[1]};
}
#elif defined(__AVX2__)
static inline v4 to_double4(i4 a) { return (v4)_mm256_cvtepi32_pd((__m128i)a); }
#else
static inline v4 to_double4(i4 a) { return __builtin_convertvector(a, v4); }
#endif

/* bytes and halves */
static inline bytes_t load_bytes(const uint8_t *p) { bytes_t x; memcpy(&x, p, sizeof x); return x; }
static inline void store_bytes(uint8_t *p, bytes_t x) { memcpy(p, &x, sizeof x); }
static inline void store_halves(uint16_t *p, halves_t x) { memcpy(p, &x, sizeof x); }
static inline bytes_t same_as(bytes_t a, bytes_t b) { return (bytes_t)(a == b); } /* 255 where true */

/* 16 bytes as 16-bit numbers */
#if NATIVE == 16 && defined(__SSE2__)
static inline halves_t widen(const uint8_t *p) {
    const __m128i a = _mm_loadu_si128((const __m128i *)p), zero = _mm_setzero_si128();
    const __m128i part[2] = {_mm_unpacklo_epi8(a, zero), _mm_unpackhi_epi8(a, zero)};
    halves_t x;
    memcpy(&x, part, sizeof x);
    return x;
}
#else
static inline halves_t widen(const uint8_t *p) {
    bytes16_t x;
    memcpy(&x, p, sizeof x);
    return __builtin_convertvector(x, halves_t);
}
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
