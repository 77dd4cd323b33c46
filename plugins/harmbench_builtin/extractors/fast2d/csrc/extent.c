/* Mean, energy and extremes of the region's values. */
#include "fast2d.h"
#include "lanes.h"

typedef struct {
    double mean, energy, lowest, highest;
} extent_t;

/* The mean is taken about the first value, so that a large constant in the map costs no digits. */
APART static extent_t extent(double *v, int64_t n) {
    const vd first = all(v[0]);
    vd sum[PARTS], energy[PARTS], low[PARTS], high[PARTS];
    for (int q = 0; q < PARTS; q++) {
        sum[q] = energy[q] = all(0);
        low[q] = high[q] = first;
    }
    const int64_t whole = n & ~(int64_t)3;
    for (int64_t i = 0; i < whole; i += 4)
        for (int q = 0; q < PARTS; q++) {
            const vd x = load(v + i + LANES * q);
            sum[q] += x - first;
            energy[q] += x * x;
            low[q] = choose(more(low[q], x), x, low[q]);
            high[q] = choose(more(x, high[q]), x, high[q]);
        }
    extent_t e = {join(sum), join(energy), v[0], v[0]};
    double lows[4], highs[4];
    memcpy(lows, low, sizeof lows);
    memcpy(highs, high, sizeof highs);
    for (int k = 0; k < 4; k++) {
        if (lows[k] < e.lowest) e.lowest = lows[k];
        if (highs[k] > e.highest) e.highest = highs[k];
    }
    for (int64_t i = whole; i < n; i++) {
        e.mean += v[i] - v[0];
        e.energy += v[i] * v[i];
        if (v[i] < e.lowest) e.lowest = v[i];
        if (v[i] > e.highest) e.highest = v[i];
    }
    e.mean = v[0] + e.mean / (double)n;
    return e;
}
