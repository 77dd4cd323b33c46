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
    const double top = last, top_fine = last_fine;
    for (int64_t i = 0; i < n; i++) {
        const double x = v[i], at = (x - origin) * scale;
        const int f = (int)(at < top_fine ? at : top_fine);
        const double k = (double)(f >> shift), low = k * step, high = (k + 1.0) * step;
        double corrected = k - (x < low + origin ? 1.0 : 0.0) + (x >= high + origin ? 1.0 : 0.0);
        corrected = corrected < top ? corrected : top;
        level[i] = (uint8_t)((int)corrected + 1);
        fine[i] = (uint16_t)f;
    }
}

/* Levels into the box. A vector that passes a segment's end writes outside (0) there; segments to the right of it
 * and below come later and write themselves. */
static void place_levels(work_t *w, const plan_t *p) {
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
