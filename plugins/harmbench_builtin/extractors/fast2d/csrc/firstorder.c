/* First order features of the region's values x_1..x_n and of its histogram of levels (p_g = share of level g). */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

#define EPSILON 2.220446049250313e-16 /* numpy.spacing(1), PyRadiomics' guard inside logarithms */

typedef struct {
    double absolute, second, third, fourth; /* sums of |x - mean|, (x - mean)^2, ^3, ^4 */
    double inside_sum, inside;              /* sum and number of the values from the 10th to the 90th percentile */
} moments_t;

APART static moments_t moments(const double *v, int64_t n, double mean, double p10, double p90) {
    vd absolute[PARTS], second[PARTS], third[PARTS], fourth[PARTS], sum[PARTS], count[PARTS];
    for (int q = 0; q < PARTS; q++) absolute[q] = second[q] = third[q] = fourth[q] = sum[q] = count[q] = all(0);
    const int64_t whole = n & ~(int64_t)3;
    for (int64_t i = 0; i < whole; i += 4)
        for (int q = 0; q < PARTS; q++) {
            const vd x = load(v + i + LANES * q), d = x - all(mean), d2 = d * d;
            const md in = between(x, p10, p90);
            absolute[q] += magnitude(d);
            second[q] += d2;
            third[q] += d2 * d;
            fourth[q] += d2 * d2;
            sum[q] += keep(in, x);
            count[q] += keep(in, all(1));
        }
    moments_t m = {join(absolute), join(second), join(third), join(fourth), join(sum), join(count)};
    for (int64_t i = whole; i < n; i++) {
        const double d = v[i] - mean, d2 = d * d;
        m.absolute += fabs(d);
        m.second += d2;
        m.third += d2 * d;
        m.fourth += d2 * d2;
        if (v[i] >= p10 && v[i] <= p90) { m.inside_sum += v[i]; m.inside += 1; }
    }
    return m;
}

/* sum of |x - centre| over the values from p10 to p90 */
APART static double robust_sum(const double *v, int64_t n, double centre, double p10, double p90) {
    vd sum[PARTS];
    for (int q = 0; q < PARTS; q++) sum[q] = all(0);
    const int64_t whole = n & ~(int64_t)3;
    for (int64_t i = 0; i < whole; i += 4)
        for (int q = 0; q < PARTS; q++) {
            const vd x = load(v + i + LANES * q);
            sum[q] += keep(between(x, p10, p90), magnitude(x - all(centre)));
        }
    double total = join(sum);
    for (int64_t i = whole; i < n; i++)
        if (v[i] >= p10 && v[i] <= p90) total += fabs(v[i] - centre);
    return total;
}

static void first_order(const double *v, int64_t n, const extent_t *e, const int32_t *histogram, int levels,
                        const double *percentile, double pixel_area, double *out) {
    const double p10 = percentile[0], p90 = percentile[4];
    const moments_t m = moments(v, n, e->mean, p10, p90);
    const double spread = robust_sum(v, n, m.inside_sum / m.inside, p10, p90);
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
    out[12] = spread / m.inside;                                           /* RobustMeanAbsoluteDeviation */
    out[13] = sqrt(e->energy / count);                                    /* RootMeanSquared */
    out[14] = variance != 0 ? third / (variance * sqrt(variance)) : 0;    /* Skewness */
    out[15] = e->energy * pixel_area;                                     /* TotalEnergy */
    out[16] = uniformity;                                                 /* Uniformity: sum p^2 */
    out[17] = variance;                                                   /* Variance */
}
