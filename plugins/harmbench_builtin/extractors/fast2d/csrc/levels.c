/* Grey levels of the region's values, and the fine bins that find the percentiles. */
#include "fast2d.h"
#include "lanes.h"

/* How many fine bins a level is cut into: all levels together at most FINE_BINS. */
static int fine_shift(int levels) {
    int shift = 0;
    while ((int64_t)levels << (shift + 1) <= FINE_BINS) shift++;
    return shift;
}

enum { BLOCK = 64 };

typedef struct {
    int32_t level[BLOCK], fine[BLOCK];
} block_t;

/* The level is computed, then corrected by the two edges next to it, which are made as numpy makes them.
 * The fine bin is monotone in the value, which is all that the percentiles need of it. */
APART static void exact_levels(const double *restrict v, const grid_t *g, int shift, block_t *restrict b) {
    const double origin = g->origin, step = g->step, scale = (double)(1 << shift) / step;
    const int32_t top = g->levels - 1, top_fine = (g->levels << shift) - 1;
    for (int k = 0; k < BLOCK; k++) {
        const double x = v[k];
        int32_t bin = (int32_t)((x - origin) * scale);
        bin = bin < top_fine ? bin : top_fine;
        const double guess = (double)(bin >> shift), low = guess * step, high = (guess + 1.0) * step;
        const double lowered = guess - (x < low + origin ? 1.0 : 0.0);
        const int32_t corrected = (int32_t)(lowered + (x >= high + origin ? 1.0 : 0.0));
        b->level[k] = corrected < top ? corrected : top;
        b->fine[k] = bin;
    }
}

/* Without the correction; returns whether a value lies so near an edge of a fine bin that it may be needed. */
APART static int quick_levels(const double *restrict v, const grid_t *g, int shift, block_t *restrict b) {
    const double origin = g->origin, scale = (double)(1 << shift) / g->step;
    const int32_t top_fine = (g->levels << shift) - 1;
    double from_middle[BLOCK]; /* of the fine bin; edges are 0.5 away */
    for (int k = 0; k < BLOCK; k++) {
        const double at = (v[k] - origin) * scale;
        const int32_t bin = (int32_t)at;
        from_middle[k] = at - (double)bin - 0.5;
        b->fine[k] = bin < top_fine ? bin : top_fine;
    }
    md near[PARTS] = {{0}};
    for (int k = 0; k < BLOCK; k += 4)
        for (int q = 0; q < PARTS; q++)
            near[q] |= more(magnitude(load(from_middle + k + LANES * q)), all(0.4999));
    for (int k = 0; k < BLOCK; k++) b->level[k] = b->fine[k] >> shift;
    int64_t any = 0;
    for (int q = 0; q < PARTS; q++)
        for (int k = 0; k < LANES; k++) any |= near[q][k];
    return any != 0;
}

/* Numbers are narrowed in loops of their own: mixed with doubles, the compiler shuffles more than it computes. Past the
 * values' end there may be anything, which conversions turn into some number. */
APART static void find_levels(work_t *w, int64_t n, const grid_t *g) {
    const int shift = fine_shift(g->levels);
    /* so wide that edges are exact to a millionth of a fine bin */
    const double size = g->origin > 0 ? g->origin : -g->origin;
    const int wide = g->step > 1e-7 * (size + g->levels * g->step);
    block_t b;
    for (int64_t i = 0; i < n; i += BLOCK) {
        uint8_t *restrict to_level = w->level + i;
        uint16_t *restrict to_fine = w->fine + i;
        if (!wide || quick_levels(w->values + i, g, shift, &b)) exact_levels(w->values + i, g, shift, &b);
        for (int k = 0; k < BLOCK; k++) to_level[k] = (uint8_t)(b.level[k] + 1);
        for (int k = 0; k < BLOCK; k++) to_fine[k] = (uint16_t)b.fine[k];
    }
}

/* Levels into the box. A vector that passes a segment's end writes outside (0) there; segments to the right of it
 * and below come later and write themselves. */
APART static void place_levels(work_t *w, const plan_t *p) {
    static const uint8_t ones[64] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const uint8_t *level = w->level;
    for (int64_t s = 0; s < p->n_segments; s++) {
        uint8_t *to = w->box + p->segments[s].box;
        int left = p->segments[s].length;
        for (; left > BYTES; left -= BYTES, to += BYTES, level += BYTES) store_bytes(to, load_bytes(level));
        store_bytes(to, load_bytes(level) & load_bytes(ones + 32 - left));
        level += left;
    }
}
