/* Neighbouring grey tone difference matrix. For the pixels of level i: n_i their number, p_i = n_i / n, and
 * s_i = sum |i - mean level of the pixel's neighbours|. A pixel without neighbours counts with difference 0.
 * |i k - sum of levels| is a whole number for k neighbours: it is summed exactly, per k, and divided once. */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

static void ngtdm_features(const plan_t *p, int levels, const int32_t *histogram, const double *difference,
                           double *out) {
    double value[FAST_LEVELS + 4], share[FAST_LEVELS + 4], weighted[FAST_LEVELS + 4], moment[FAST_LEVELS + 4];
    const double n = (double)p->n;
    double s_sum = 0, ps_sum = 0, mean = 0;
    int present = 0;
    for (int g = 1; g <= levels; g++) {
        if (!histogram[g]) continue;
        const double pi = histogram[g] / n;
        value[present] = g;
        share[present] = pi;
        weighted[present] = pi * difference[g];
        moment[present] = pi * g;
        s_sum += difference[g];
        ps_sum += weighted[present];
        mean += moment[present];
        present++;
    }
    for (int k = present; k < present + 4; k++) { /* adds nothing to the sums below */
        value[k] = 0; share[k] = 1; weighted[k] = 0; moment[k] = 0;
    }
    double apart = 0, complexity = 0, strength = 0, variance = 0;
    for (int i = 0; i < present; i++) {
        const v4 a = all4(moment[i]), b = all4(weighted[i]), q = all4(share[i]), x = all4(value[i]);
        v4 da = all4(0), dc = da, ds = da;
        for (int j = 0; j < i; j += 4) {
            const m4 before = more4(all4(i), (v4){j, j + 1, j + 2, j + 3});
            const v4 k = select4(before, x - load4(value + j), all4(0)), both = q + load4(share + j);
            da += select4(before, abs4(a - load4(moment + j)), all4(0));
            dc += k * (b + load4(weighted + j)) / both;
            ds += both * k * k;
        }
        apart += sum4(da);
        complexity += sum4(dc);
        strength += sum4(ds);
        variance += share[i] * (value[i] - mean) * (value[i] - mean);
    }
    out[0] = apart != 0 ? ps_sum / (2 * apart) : 0;  /* Busyness: sum p s / sum_ij |i p_i - j p_j| */
    out[1] = ps_sum != 0 ? 1.0 / ps_sum : 1e6;       /* Coarseness: 1 / sum p s */
    out[2] = 2 * complexity / n;                     /* Complexity: sum_ij |i - j| (p_i s_i + p_j s_j)/(p_i + p_j) / n */
    /* Contrast: sum_ij p_i p_j (i - j)^2 / (levels (levels - 1)) x sum s / n; the double sum is twice the variance */
    out[3] = present > 1 ? 2 * variance * s_sum / n / (present * (present - 1.0)) : 0;
    out[4] = s_sum != 0 ? 2 * strength / s_sum : 0;  /* Strength: sum_ij (p_i + p_j)(i - j)^2 / sum s */
}
