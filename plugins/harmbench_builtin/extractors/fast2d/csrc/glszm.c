/* Grey level size zone matrix: 8-connected zones of one level, counted by level and number of pixels.
 *
 * Zones of one pixel are GLDM's pixels with no equal neighbour; they are never labelled. The others are labelled in one
 * raster pass with union-find: of the preceding neighbours (bits in w->same) that have the pixel's level, one gives the
 * label, and only north-east without north can bring a second zone.
 */
#include <stdlib.h>

#include "fast2d.h"
#include "lanes.h"

enum { SIZE_BITS = 24 }; /* of w->zone_size; the level is above */

static int32_t root_of(const int32_t *parent, int32_t a) {
    while (parent[a] != a) a = parent[a];
    return a;
}

/* Labels the region's pixels that have an equal neighbour: w->zone_size[label] = level << SIZE_BITS | pixels. Labels that
 * were found to be of one zone are linked in w->parent and listed in w->merged. Returns the number of labels. */
APART static int32_t label_pixels(const work_t *w, const plan_t *p, int64_t *n_merged) {
    int32_t *restrict label = w->label, *restrict parent = w->parent;
    uint32_t *restrict size = w->zone_size;
    const uint8_t *restrict same = w->same, *restrict level = w->level, *restrict equal = w->equal;
    const int32_t *restrict position = p->position;
    const int64_t stride = p->stride, n = p->n;
    int64_t ring = 1, offset[16];
    while (ring < 2 * stride) ring *= 2; /* labels of the last two rows are enough, and stay in the nearest cache */
    for (unsigned c = 0; c < 16; c++)
        offset[c] = c & NORTH ? -stride : c & WEST ? -1 : c & NORTH_WEST ? -stride - 1 : c & NORTH_EAST ? 1 - stride : 0;
    const unsigned joins = 1u << (NORTH_EAST | WEST) | 1u << (NORTH_EAST | NORTH_WEST) |
                           1u << (NORTH_EAST | NORTH_WEST | WEST); /* north-east and another, without north */
    int64_t merged = 0;
    int64_t labels = 0;
    for (int64_t i = 0; i < n; i += 64)
        for (uint64_t m = nonzero64(equal + i); m; m &= m - 1) {
            const int64_t k = i + __builtin_ctzll(m), q = position[k];
            const unsigned c = same[k];
            size[labels] = (uint32_t)level[k] << SIZE_BITS;
            label[q & (ring - 1)] = (int32_t)labels; /* read back when no preceding neighbour is equal */
            const int32_t t = label[(q + offset[c]) & (ring - 1)];
            labels += c == 0;
            label[q & (ring - 1)] = t;
            size[t]++;
            if (joins >> c & 1) {
                const int32_t a = root_of(parent, t), b = root_of(parent, label[(q - stride + 1) & (ring - 1)]);
                if (a != b) {
                    const int32_t young = a > b ? a : b;
                    parent[young] = a < b ? a : b;
                    w->merged[merged++] = young;
                }
            }
        }
    *n_merged = merged;
    return (int32_t)labels;
}

/* The same with all pixels of a zone counted for one label; the others keep 0. */
static int32_t measure_zones(work_t *w, const plan_t *p) {
    int32_t *parent = w->parent;
    int64_t n_merged;
    uint32_t *size = w->zone_size;
    const uint32_t pixels_only = (1u << SIZE_BITS) - 1;
    const int32_t labels = label_pixels(w, p, &n_merged);
    for (int64_t k = 0; k < n_merged; k++) {
        const int32_t a = w->merged[k];
        size[root_of(parent, a)] += size[a] & pixels_only;
        size[a] &= ~pixels_only;
    }
    for (int64_t k = 0; k < n_merged; k++) parent[w->merged[k]] = w->merged[k];
    return labels;
}

static int by_size_and_level(const void *a, const void *b) {
    const cell_t *x = a, *y = b;
    return x->size != y->size ? (x->size < y->size ? -1 : 1) : (x->level > y->level) - (x->level < y->level);
}

/* Counts zones up to ZONE_ROWS pixels in w->sizes; larger ones are listed and merged. Returns the list's length. */
APART static int64_t zones_by_size(work_t *w, int32_t labels, cell_t *list) {
    const int64_t row = w->level_stride;
    int64_t n_list = 0, kept = 0;
    memset(w->sizes, 0, sizeof(int32_t) * (ZONE_ROWS + 1) * (size_t)row);
    memcpy(w->sizes + row, w->dependence, sizeof(int32_t) * (size_t)row);
    for (int32_t k = 0; k < labels; k++) {
        const int32_t size = (int32_t)(w->zone_size[k] & ((1u << SIZE_BITS) - 1));
        const int32_t level = (int32_t)(w->zone_size[k] >> SIZE_BITS);
        if (size <= ZONE_ROWS) w->sizes[size * row + level]++; /* merged labels go to row 0, which is not read */
        else list[n_list++] = (cell_t){size, level, 1};
    }
    qsort(list, (size_t)n_list, sizeof *list, by_size_and_level);
    for (int64_t k = 0; k < n_list; k++) {
        if (kept && !by_size_and_level(list + kept - 1, list + k)) list[kept - 1].count++;
        else list[kept++] = list[k];
    }
    return kept;
}

static void glszm_features(work_t *w, const plan_t *p, double *out) {
    double per_level[FAST_LEVELS + 10];
    /* Zones above ZONE_ROWS pixels are fewer than n / ZONE_ROWS; `chosen` has done its work and holds them. */
    cell_t *list = (cell_t *)w->chosen;
    int64_t n_list = zones_by_size(w, measure_zones(w, p), list);
    size_features_t f = size_features(w, w->sizes, ZONE_ROWS, list, n_list, per_level);
    zone_features(&f, (double)p->n, out);
}
