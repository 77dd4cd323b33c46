/* Vectors of fixed length, whatever the machine's: the compiler splits or joins them.
 *
 * Sums run in a fixed number of lanes and in a fixed order, and products are never contracted with sums, so that every
 * instruction set gives the same bits.
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

typedef double v4 __attribute__((vector_size(32)));
typedef double v8 __attribute__((vector_size(64)));
typedef int64_t m4 __attribute__((vector_size(32)));
typedef int64_t m8 __attribute__((vector_size(64)));
typedef int32_t i4 __attribute__((vector_size(16)));
typedef uint64_t u4 __attribute__((vector_size(32)));
typedef uint8_t byte32 __attribute__((vector_size(32)));
typedef uint16_t half32 __attribute__((vector_size(64)));
typedef int16_t shalf32 __attribute__((vector_size(64)));

static inline v4 select4(m4 m, v4 a, v4 b) { return (v4)((m & (m4)a) | (~m & (m4)b)); }
static inline v8 select8(m8 m, v8 a, v8 b) { return (v8)((m & (m8)a) | (~m & (m8)b)); }
static inline v4 abs4(v4 a) { return (v4)((m4)a & INT64_MAX); }
static inline v8 abs8(v8 a) { return (v8)((m8)a & INT64_MAX); }
static inline v4 all4(double x) { return (v4){x, x, x, x}; }
static inline v8 all8(double x) { return (v8){x, x, x, x, x, x, x, x}; }
static inline double sum4(v4 a) { return (a[0] + a[1]) + (a[2] + a[3]); }
static inline double sum8(v8 a) { return ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7])); }
static inline v4 to_double4(i4 a) { return __builtin_convertvector(a, v4); }

static inline v8 load8(const double *p) { v8 x; memcpy(&x, p, sizeof x); return x; }
static inline i4 loadi4(const int32_t *p) { i4 x; memcpy(&x, p, sizeof x); return x; }
static inline v4 load4(const double *p) { v4 x; memcpy(&x, p, sizeof x); return x; }
static inline void store4(double *p, v4 x) { memcpy(p, &x, sizeof x); }
static inline byte32 load_bytes(const uint8_t *p) { byte32 x; memcpy(&x, p, sizeof x); return x; }
static inline void store_bytes(uint8_t *p, byte32 x) { memcpy(p, &x, sizeof x); }

/* The last k < 8 values of an array, `fill` for the rest. */
static inline v8 load_last(const double *p, int64_t k, double fill) {
    v8 x = all8(fill);
    for (int64_t i = 0; i < k; i++) x[i] = p[i];
    return x;
}

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
