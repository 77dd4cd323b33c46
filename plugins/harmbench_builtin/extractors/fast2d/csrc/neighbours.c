/* Counting: one look at every region pixel's 8 neighbours serves GLCM, GLDM, NGTDM, runs and zones.
 *
 * Per block of pixels, vectorised: which neighbours have the same level, and ready-made table indices. Then five
 * counter increments per pixel: four GLCM directions, and one packed counter for GLDM and NGTDM together. Neighbours
 * outside the region have level 0 and are counted in row or column 0, which nobody reads.
 */
#include "fast2d.h"
#include "lanes.h"

enum { CHUNK = 512, LONGEST = 384 };

/* Bits of w->same: the neighbour that precedes in raster order has the pixel's level. Bits of w->run_end: so has the one
 * behind it, but not the one that follows: the pixel is the last in a run of at least 3. */
enum { NORTH = 1, WEST = 2, NORTH_WEST = 4, NORTH_EAST = 8 };

typedef struct {
    uint16_t pair[DIRECTIONS][CHUNK + SLACK]; /* index of a GLCM cell, or of its first counter */
    uint16_t key[CHUNK + SLACK];              /* index in w->packed */
    uint16_t difference[CHUNK + SLACK];       /* |level x neighbours - sum of the neighbours' levels| */
} chunk_t;

/* Which of BYTES pixels' neighbours have the pixel's level. */
static inline void compare(const uint8_t *b, int64_t stride, uint8_t *same, uint8_t *run_end, uint8_t *equal) {
    const bytes_t x = load_bytes(b);
    const bytes_t ew = same_as(x, load_bytes(b - 1)), en = same_as(x, load_bytes(b - stride));
    const bytes_t enw = same_as(x, load_bytes(b - stride - 1)), ene = same_as(x, load_bytes(b - stride + 1));
    const bytes_t ee = same_as(x, load_bytes(b + 1)), es = same_as(x, load_bytes(b + stride));
    const bytes_t ese = same_as(x, load_bytes(b + stride + 1)), esw = same_as(x, load_bytes(b + stride - 1));
    /* a comparison gives 255 = -1 where it is true */
    store_bytes(equal, -(en + ew + enw + ene + ee + es + esw + ese));
    store_bytes(same, (en & NORTH) | (ew & WEST) | (enw & NORTH_WEST) | (ene & NORTH_EAST));
    store_bytes(run_end, (en & ~es & same_as(x, load_bytes(b - 2 * stride)) & NORTH) |
                             (ew & ~ee & same_as(x, load_bytes(b - 2)) & WEST) |
                             (enw & ~ese & same_as(x, load_bytes(b - 2 * stride - 2)) & NORTH_WEST) |
                             (ene & ~esw & same_as(x, load_bytes(b - 2 * stride + 2)) & NORTH_EAST));
}

/* Table indices of 16 pixels. */
static inline __attribute__((always_inline)) void make_indices(const uint8_t *b, int64_t stride, const uint8_t *around9,
                                                               const uint8_t *equal, uint16_t pair_row, const int shift,
                                                               uint16_t key_row, chunk_t *c, int at) {
    const halves_t x = widen(b), e = widen(b + 1), w = widen(b - 1), s = widen(b + stride);
    const halves_t se = widen(b + stride + 1), sw = widen(b + stride - 1);
    const halves_t row = x * pair_row;
    store_halves(c->pair[0] + at, row + (e << shift));
    store_halves(c->pair[1] + at, row + (s << shift));
    store_halves(c->pair[2] + at, row + (se << shift));
    store_halves(c->pair[3] + at, row + (sw << shift));
    const halves_t nine = widen(around9);
    store_halves(c->key + at, (nine + widen(equal)) * key_row + x);
    const halves_t around = (nine * 57) >> 9; /* 9 x neighbours / 9, exact for 0..72 */
    const halves_t sum = e + s + se + sw + w + widen(b - stride) + widen(b - stride - 1) + widen(b - stride + 1);
    const signed_halves_t d = (signed_halves_t)(x * around - sum), sign = d >> 15;
    store_halves(c->difference + at, (halves_t)((d ^ sign) - sign));
}

/* Five counters per pixel; c->pair holds indices of cells' first counters. */
APART static void count_chunk(const chunk_t *restrict c, int n, int32_t *restrict pairs, uint64_t *restrict packed) {
    for (int i = 0; i < n; i++) {
        pairs[c->pair[0][i] + 0]++;
        pairs[c->pair[1][i] + 1]++;
        pairs[c->pair[2][i] + 2]++;
        pairs[c->pair[3][i] + 3]++;
        packed[c->key[i]] += ((uint64_t)1 << 40) + c->difference[i];
    }
}

/* The same where c->pair holds indices of cells. */
APART static void count_cells(const chunk_t *restrict c, int n, int32_t *restrict pairs, uint64_t *restrict packed) {
    for (int i = 0; i < n; i++) {
        for (int d = 0; d < DIRECTIONS; d++) pairs[(size_t)c->pair[d][i] * DIRECTIONS + (size_t)d]++;
        packed[c->key[i]] += ((uint64_t)1 << 40) + c->difference[i];
    }
}

/* Up to this many levels, the index of a cell's first counter fits 16 bits; above, the index of the cell does. */
enum { SMALL_LEVELS = 126, COUNTER_SHIFT = 2 };

static inline __attribute__((always_inline)) void walk(work_t *w, const plan_t *p, int levels, const int shift) {
    const uint16_t pair_row = (uint16_t)((levels + 1) << shift), key_row = (uint16_t)w->level_stride;
    chunk_t c;
    int64_t i = 0;
    int at = 0;
    for (int64_t s = 0; s < p->n_segments; s++) {
        const uint8_t *b = w->box + p->segments[s].box;
        if (w->next_map) {
            const double *next = w->next_map + p->segments[s].image;
            for (int k = 0; k < p->segments[s].length; k += 8) __builtin_prefetch(next + k, 0, 2);
            __builtin_prefetch(next + p->segments[s].length - 1, 0, 2);
        }
        for (int left = p->segments[s].length; left > 0;) {
            const int take = left < LONGEST ? left : LONGEST;
            if (at + take > CHUNK) {
                (shift ? count_chunk : count_cells)(&c, at, w->pairs, w->packed);
                at = 0;
            }
            /* past the segment's end: the next one overwrites it */
            for (int k = 0; k < take; k += BYTES)
                compare(b + k, p->stride, w->same + i + k, w->run_end + i + k, w->equal + i + k);
            for (int k = 0; k < take; k += 16)
                make_indices(b + k, p->stride, p->around9 + i + k, w->equal + i + k, pair_row, shift, key_row, &c,
                             at + k);
            at += take; i += take; b += take; left -= take;
        }
    }
    (shift ? count_chunk : count_cells)(&c, at, w->pairs, w->packed);
}

APART static void count_neighbourhoods(work_t *w, const plan_t *p, int levels) {
    memset(w->pairs, 0, sizeof(int32_t) * DIRECTIONS * (size_t)(levels + 1) * (size_t)(levels + 1));
    memset(w->packed, 0, sizeof(uint64_t) * 81 * (size_t)w->level_stride);
    if (levels <= SMALL_LEVELS) walk(w, p, levels, COUNTER_SHIFT);
    else walk(w, p, levels, 0);
    memset(w->same + p->n, 0, SLACK);
    memset(w->run_end + p->n, 0, SLACK);
    memset(w->equal + p->n, 0, SLACK);
}

/* Packed counters to GLDM counts [dependence][level], the histogram of levels, and NGTDM's s_g (see ngtdm.c). */
APART static void unpack(work_t *w, const plan_t *p, int32_t *histogram, double *difference) {
    const int64_t row = w->level_stride;
    memset(w->dependence, 0, sizeof(int32_t) * 9 * (size_t)row);
    for (int64_t g = 0; g < row; g++) { difference[g] = 0; histogram[g] = 0; }
    for (int k = 0; k < 9; k++) {
        if (!p->around_present[k]) continue;
        int64_t *sum = w->difference;
        memset(sum, 0, sizeof(int64_t) * (size_t)row);
        for (int d = 0; d <= k; d++) {
            const uint64_t *restrict from = w->packed + (9 * k + d) * row;
            int32_t *restrict to = w->dependence + d * row;
            for (int64_t g = 0; g < row; g++) {
                to[g] += (int32_t)(from[g] >> 40);
                sum[g] += (int64_t)(from[g] & (((uint64_t)1 << 40) - 1));
            }
        }
        if (k)
            for (int64_t g = 0; g < row; g++) difference[g] += (double)sum[g] / k;
    }
    for (int d = 0; d < 9; d++)
        for (int64_t g = 0; g < row; g++) histogram[g] += w->dependence[d * row + g];
}
