/* Grey levels of the region's values, and the fine bins that find the percentiles. */
#include "fast2d.h"
#include "lanes.h"

/* How many fine bins a level is cut into: all levels together at most FINE_BINS. */
static int fine_shift(int levels) {
    int shift = 0;
    while ((int64_t)levels << (shift + 1) <= FINE_BINS) shift++;
    return shift;
}

/* The level is computed, then corrected by the two edges next to it, which are made as numpy makes them.
 * The fine bin is monotone in the value, which is all that the percentiles need of it. */
static void find_levels(work_t *w, int64_t n, const grid_t *g) {
    const double *restrict v = w->values;
    uint8_t *restrict level = w->level;
    uint16_t *restrict fine = w->fine;
    const double origin = g->origin, step = g->step;
    const int shift = fine_shift(g->levels), last = g->levels - 1, last_fine = (g->levels << shift) - 1;
    const double scale = (double)(1 << shift) / step;
    for (int64_t i = 0; i < n; i++) {
        double x = v[i];
        int f = (int)((x - origin) * scale);
        f = f > last_fine ? last_fine : f;
        int k = f >> shift;
        double low = (double)k * step, high = (double)(k + 1) * step;
        k -= x < low + origin;
        k += (x >= high + origin) & (k < last);
        level[i] = (uint8_t)(k + 1);
        fine[i] = (uint16_t)f;
    }
}

/* Levels into the box. A vector that passes a segment's end writes outside (0) there; segments to the right of it
 * and below come later and write themselves. */
static void place_levels(work_t *w, const plan_t *p) {
    static const uint8_t keep[64] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const uint8_t *level = w->level;
    for (int64_t s = 0; s < p->n_segments; s++) {
        uint8_t *to = w->box + p->segments[s].box;
        int left = p->segments[s].length;
        for (; left > 32; left -= 32, to += 32, level += 32) store_bytes(to, load_bytes(level));
        store_bytes(to, load_bytes(level) & load_bytes(keep + 32 - left));
        level += left;
    }
}
