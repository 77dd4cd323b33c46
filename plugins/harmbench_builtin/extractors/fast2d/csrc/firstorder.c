/* First order features of the region's values x_1..x_n and of its histogram of levels (p_g = share of level g). */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

#define EPSILON 2.220446049250313e-16 /* numpy.spacing(1), PyRadiomics' guard inside logarithms */

typedef struct {
    v8 absolute, second, third, fourth, inside_sum, inside_count;
} moments_t;

/* `x` for the moments and `y` for the range 10 % to 90 %; they differ past the end of the region only. */
static inline void add_moments(moments_t *m, v8 x, v8 y, v8 mean, v8 p10, v8 p90) {
    v8 d = x - mean, d2 = d * d;
    m8 inside = (y >= p10) & (y <= p90);
    m->absolute += abs8(d);
    m->second += d2;
    m->third += d2 * d;
    m->fourth += d2 * d2;
    m->inside_sum += select8(inside, y, all8(0));
    m->inside_count += select8(inside, all8(1), all8(0));
}

static inline v8 robust(v8 y, v8 centre, v8 p10, v8 p90) {
    return select8((y >= p10) & (y <= p90), abs8(y - centre), all8(0));
}

static void first_order(const double *v, int64_t n, const extent_t *e, const int32_t *histogram, int levels,
                        const double *percentile, double pixel_area, double *out) {
    const v8 mean = all8(e->mean), p10 = all8(percentile[0]), p90 = all8(percentile[4]), zero = all8(0);
    moments_t m = {zero, zero, zero, zero, zero, zero};
    const int64_t whole = n & ~(int64_t)7;
    for (int64_t i = 0; i < whole; i += 8) add_moments(&m, load8(v + i), load8(v + i), mean, p10, p90);
    v8 outside = load_last(v + whole, n - whole, INFINITY);
    add_moments(&m, load_last(v + whole, n - whole, e->mean), outside, mean, p10, p90);

    const double inside = sum8(m.inside_count);
    const v8 centre = all8(sum8(m.inside_sum) / inside);
    v8 spread = robust(outside, centre, p10, p90);
    for (int64_t i = 0; i < whole; i += 8) spread += robust(load8(v + i), centre, p10, p90);

    const double count = (double)n, variance = sum8(m.second) / count;
    const double third = sum8(m.third) / count, fourth = sum8(m.fourth) / count;
    double entropy = 0, uniformity = 0;
    for (int g = 1; g <= levels; g++)
        if (histogram[g]) {
            double p = histogram[g] / count;
            entropy -= p * log2(p + EPSILON);
            uniformity += p * p;
        }
    out[0] = percentile[0];                                               /* 10Percentile */
    out[1] = percentile[4];                                               /* 90Percentile */
    out[2] = e->energy;                                                   /* Energy: sum x^2 */
    out[3] = entropy;                                                     /* Entropy: -sum p log2 p */
    out[4] = percentile[3] - percentile[1];                               /* InterquartileRange */
    out[5] = variance != 0 ? fourth / (variance * variance) : 0;          /* Kurtosis, not the excess */
    out[6] = e->highest;                                                  /* Maximum */
    out[7] = sum8(m.absolute) / count;                                    /* MeanAbsoluteDeviation */
    out[8] = e->mean;                                                     /* Mean */
    out[9] = percentile[2];                                               /* Median */
    out[10] = e->lowest;                                                  /* Minimum */
    out[11] = e->highest - e->lowest;                                     /* Range */
    out[12] = sum8(spread) / inside;                                      /* RobustMeanAbsoluteDeviation */
    out[13] = sqrt(e->energy / count);                                    /* RootMeanSquared */
    out[14] = variance != 0 ? third / (variance * sqrt(variance)) : 0;    /* Skewness */
    out[15] = e->energy * pixel_area;                                     /* TotalEnergy */
    out[16] = uniformity;                                                 /* Uniformity: sum p^2 */
    out[17] = variance;                                                   /* Variance */
}
