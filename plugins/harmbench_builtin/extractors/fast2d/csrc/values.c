/* The region's values: copied from a map, or filtered where they are needed. */
#include "fast2d.h"
#include "lanes.h"

static void gather(work_t *w, const plan_t *p, const double *map) {
    double *v = w->values;
    for (int64_t s = 0; s < p->n_segments; s++) {
        const double *from = map + p->segments[s].image;
        int length = p->segments[s].length, k = 0;
        if (length < 8) {
            for (; k < length; k++) v[k] = from[k];
        } else {
            for (; k + 8 <= length; k += 8) memcpy(v + k, from + k, 64);
            memcpy(v + length - 8, from + length - 8, 64); /* the rest, overlapping what is there */
        }
        v += length;
    }
}

/* value(y, x) = bias + sum over taps of kernel[i][j] * padded[y + i][x + j], added in the order of the taps. Sixteen
 * pixels at a time stay in registers. */
static void filter(work_t *w, const plan_t *p, const double *padded, int64_t stride, const double *kernel, int64_t h,
                   int64_t wd, double bias) {
    double *v = w->values;
    for (int64_t s = 0; s < p->n_segments; s++) {
        const segment_t *g = p->segments + s;
        const double *from = padded + g->row * stride + g->column;
        for (int k = 0; k < g->length; k += 16) {
            wide_t sum[16 / WIDE];
            for (int q = 0; q < 16 / WIDE; q++) sum[q] = bias - (wide_t){0};
            for (int64_t i = 0; i < h; i++) {
                const double *row = from + k + i * stride, *taps = kernel + i * wd;
                for (int64_t j = 0; j < wd; j++) {
                    for (int q = 0; q < 16 / WIDE; q++) {
                        wide_t x;
                        memcpy(&x, row + j + WIDE * q, sizeof x);
                        sum[q] += taps[j] * x;
                    }
                }
            }
            memcpy(v + k, sum, sizeof sum); /* past the segment's end: the next one overwrites it */
        }
        v += g->length;
    }
}
