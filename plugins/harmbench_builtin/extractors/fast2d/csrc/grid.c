/* Grey-level edges as PyRadiomics (numpy) makes them, in double precision.
 *
 * binCount: numpy.histogram's edges, linspace(lowest, highest, bins + 1) = k * step + lowest, the last one raised by 1.
 *   A constant region is parted over [value - 0.5, value + 0.5].
 * binWidth: numpy.arange(low, highest + 2 width, width) with low = lowest - lowest mod width: multiples of the width.
 *   arange's own step is (low + width) - low.
 */
#include <math.h>

#include "fast2d.h"

static double edge(const grid_t *g, int64_t k) {
    if (g->bins && k == g->bins) return g->top;
    double product = (double)k * g->step;
    return product + g->origin;
}

int grid_make(const settings_t *s, double lowest, double highest, grid_t *g) {
    double a = lowest, b = highest;
    *g = (grid_t){0};
    if (s->bins > 0) {
        if (a == b) { a -= 0.5; b += 0.5; }
        g->bins = s->bins;
        g->origin = a;
        g->step = (b - a) / s->bins;
        g->top = b + 1.0;
        g->levels = s->bins + (highest >= g->top);
        if (g->levels > MAX_LEVELS) return TOO_MANY_LEVELS;
    } else {
        double rest = fmod(lowest, s->width);
        if (rest < 0) rest += s->width;
        a = lowest - rest;
        double second = a + s->width;
        g->origin = a;
        g->step = second - a;
        if (!(g->step > 0)) return TOO_FINE;
        if (!((b - a) / g->step < MAX_LEVELS)) return TOO_MANY_LEVELS;
        g->levels = grid_level(g, highest);
        if (g->levels > MAX_LEVELS) return TOO_MANY_LEVELS;
    }
    double magnitude = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
    g->plain = g->step > 1e-12 * magnitude && (!g->bins || g->levels == g->bins);
    /* numpy refuses edges that rounding has made equal. */
    if (!g->plain && g->bins)
        for (int64_t k = 0; k < g->bins; k++) {
            double up = k + 1 == g->bins ? b : edge(g, k + 1);
            if (!(edge(g, k) < up)) return TOO_FINE;
        }
    return DONE;
}

/* Number of edges <= x, for x not below the first. */
int grid_level(const grid_t *g, double x) {
    double guess = (x - g->origin) / g->step;
    int64_t last = g->bins ? g->bins : (int64_t)MAX_LEVELS + 1;
    int64_t k = guess < (double)last ? (int64_t)guess : last;
    while (k > 0 && x < edge(g, k)) k--;
    while (k < last && x >= edge(g, k + 1)) k++;
    return (int)(k + 1);
}
