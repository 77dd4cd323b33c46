/* First order features of the region's values x_1..x_n and of its histogram of levels (p_g = share of level g). */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

#define EPSILON 2.220446049250313e-16 /* numpy.spacing(1), PyRadiomics' guard inside logarithms */

typedef struct {
    double absolute, second, third, fourth; /* sums of |x - mean|, (x - mean)^2, ^3, ^4 */
} moments_t;

APART static moments_t moments(const double *v, int64_t n, double mean) {
    vd absolute[PARTS], second[PARTS], third[PARTS], fourth[PARTS];
    for (int q = 0; q < PARTS; q++) absolute[q] = second[q] = third[q] = fourth[q] = all(0);
    const int64_t whole = n & ~(int64_t)3;
    for (int64_t i = 0; i < whole; i += 4)
        for (int q = 0; q < PARTS; q++) {
            const vd d = load(v + i + LANES * q) - all(mean), d2 = d * d;
            absolute[q] += magnitude(d);
            second[q] += d2;
            third[q] += d2 * d;
            fourth[q] += d2 * d2;
        }
    moments_t m = {join(absolute), join(second), join(third), join(fourth)};
    for (int64_t i = whole; i < n; i++) {
        const double d = v[i] - mean, d2 = d * d;
        m.absolute += fabs(d);
        m.second += d2;
        m.third += d2 * d;
        m.fourth += d2 * d2;
    }
    return m;
}

/* Mean absolute deviation from their mean of the values from p10 to p90. */
APART static double robust_deviation(const double *v, int64_t n, double p10, double p90) {
    vd sum[PARTS], count[PARTS], spread[PARTS];
    for (int q = 0; q < PARTS; q++) sum[q] = count[q] = spread[q] = all(0);
    const int64_t whole = n & ~(int64_t)3;
    for (int64_t i = 0; i < whole; i += 4)
        for (int q = 0; q < PARTS; q++) {
            const vd x = load(v + i + LANES * q);
            const md inside = between(x, p10, p90);
            sum[q] += keep(inside, x);
            count[q] += keep(inside, all(1));
        }
    double total = join(sum), inside = join(count);
    for (int64_t i = whole; i < n; i++)
        if (v[i] >= p10 && v[i] <= p90) { total += v[i]; inside += 1; }
    const double centre = total / inside;
    for (int64_t i = 0; i < whole; i += 4)
        for (int q = 0; q < PARTS; q++) {
            const vd x = load(v + i + LANES * q);
            spread[q] += keep(between(x, p10, p90), magnitude(x - all(centre)));
        }
    double deviation = join(spread);
    for (int64_t i = whole; i < n; i++)
        if (v[i] >= p10 && v[i] <= p90) deviation += fabs(v[i] - centre);
    return deviation / inside;
}

static void first_order(const double *v, int64_t n, const extent_t *e, const int32_t *histogram, int levels,
                        const double *percentile, double pixel_area, double *out) {
    const moments_t m = moments(v, n, e->mean);
    const double count = (double)n, variance = m.second / count, third = m.third / count, fourth = m.fourth / count;
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
    out[7] = m.absolute / count;                                         /* MeanAbsoluteDeviation */
    out[8] = e->mean;                                                     /* Mean */
    out[9] = percentile[2];                                               /* Median */
    out[10] = e->lowest;                                                  /* Minimum */
    out[11] = e->highest - e->lowest;                                     /* Range */
    out[12] = robust_deviation(v, n, percentile[0], percentile[4]);       /* RobustMeanAbsoluteDeviation */
    out[13] = sqrt(e->energy / count);                                    /* RootMeanSquared */
    out[14] = variance != 0 ? third / (variance * sqrt(variance)) : 0;    /* Skewness */
    out[15] = e->energy * pixel_area;                                     /* TotalEnergy */
    out[16] = uniformity;                                                 /* Uniformity: sum p^2 */
    out[17] = variance;                                                   /* Variance */
}
