/* Neighbouring grey tone difference matrix. For the pixels of level i: n_i their number, p_i = n_i / n, and
 * s_i = sum |i - mean level of the pixel's neighbours|. A pixel without neighbours counts with difference 0.
 * |i k - sum of levels| is a whole number for k neighbours: it is summed exactly, per k, and divided once. */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

/* One row per level present; arrays end in 4 elements of anything. `difference` is s_i. */
typedef struct {
    double *value, *share, *difference, *weighted, *moment;
} tones_t;

APART static void tone_features(const tones_t *t, int64_t present, double n, double *out) {
    double s_sum = 0, ps_sum = 0, mean = 0;
    for (int64_t i = 0; i < present; i++) {
        t->weighted[i] = t->share[i] * t->difference[i];
        t->moment[i] = t->share[i] * t->value[i];
        s_sum += t->difference[i];
        ps_sum += t->weighted[i];
        mean += t->moment[i];
    }
    for (int64_t i = present; i < present + 4; i++) { /* adds nothing to the sums below */
        t->value[i] = t->weighted[i] = t->moment[i] = 0;
        t->share[i] = 1;
    }
    double apart = 0, complexity = 0, strength = 0, variance = 0;
    for (int64_t i = 0; i < present; i++) {
        const v4 a = all4(t->moment[i]), b = all4(t->weighted[i]), q = all4(t->share[i]), x = all4(t->value[i]);
        v4 da = all4(0), dc = da, ds = da;
        for (int64_t j = 0; j < i; j += 4) {
            const m4 before = more4(all4((double)(i - j)), (v4){0, 1, 2, 3});
            const v4 k = select4(before, x - load4(t->value + j), all4(0)), both = q + load4(t->share + j);
            da += select4(before, abs4(a - load4(t->moment + j)), all4(0));
            dc += k * (b + load4(t->weighted + j)) / both;
            ds += both * k * k;
        }
        apart += sum4(da);
        complexity += sum4(dc);
        strength += sum4(ds);
        variance += t->share[i] * (t->value[i] - mean) * (t->value[i] - mean);
    }
    out[0] = apart != 0 ? ps_sum / (2 * apart) : 0;  /* Busyness: sum p s / sum_ij |i p_i - j p_j| */
    out[1] = ps_sum != 0 ? 1.0 / ps_sum : 1e6;       /* Coarseness: 1 / sum p s */
    out[2] = 2 * complexity / n;                     /* Complexity: sum_ij |i - j| (p_i s_i + p_j s_j)/(p_i + p_j) / n */
    /* Contrast: sum_ij p_i p_j (i - j)^2 / (levels (levels - 1)) x sum s / n; the double sum is twice the variance */
    out[3] = present > 1 ? 2 * variance * s_sum / n / ((double)present * ((double)present - 1.0)) : 0;
    out[4] = s_sum != 0 ? 2 * strength / s_sum : 0;  /* Strength: sum_ij (p_i + p_j)(i - j)^2 / sum s */
}
