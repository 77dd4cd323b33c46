/* The region's values: copied from a map, or filtered where they are needed; their sum and extremes. */
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

/* value(y, x) = bias + sum over taps of kernel[i][j] * padded[y + i][x + j], added in the order of the taps. */
static void filter(work_t *w, const plan_t *p, const double *padded, int64_t stride, const double *kernel, int64_t h,
                   int64_t wd, double bias) {
    double *v = w->values;
    for (int64_t s = 0; s < p->n_segments; s++) {
        const segment_t *g = p->segments + s;
        const double *from = padded + g->row * stride + g->column;
        for (int k = 0; k < g->length; k += 16) {
            v8 a = all8(bias), b = a;
            for (int64_t i = 0; i < h; i++) {
                const double *row = from + k + i * stride, *taps = kernel + i * wd;
                for (int64_t j = 0; j < wd; j++) {
                    v8 t = all8(taps[j]);
                    a += t * load8(row + j);
                    b += t * load8(row + j + 8);
                }
            }
            memcpy(v + k, &a, sizeof a); /* past the segment's end: the next one overwrites it */
            memcpy(v + k + 8, &b, sizeof b);
        }
        v += g->length;
    }
}

typedef struct {
    double mean, energy, lowest, highest;
} extent_t;

/* The mean is taken about the first value, so that a large constant in the map costs no digits. */
static extent_t extent(const double *v, int64_t n) {
    v8 first = all8(v[0]), sum = all8(0), energy = sum, low = first, high = first;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        v8 x = load8(v + i);
        sum += x - first;
        energy += x * x;
        low = select8(x < low, x, low);
        high = select8(x > high, x, high);
    }
    v8 x = load_last(v + i, n - i, v[0]), only = load_last(v + i, n - i, 0.0);
    sum += x - first;
    energy += only * only;
    low = select8(x < low, x, low);
    high = select8(x > high, x, high);
    extent_t e = {v[0] + sum8(sum) / (double)n, sum8(energy), v[0], v[0]};
    for (int k = 0; k < 8; k++) {
        if (low[k] < e.lowest) e.lowest = low[k];
        if (high[k] > e.highest) e.highest = high[k];
    }
    return e;
}
