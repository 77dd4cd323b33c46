/* First order features of the region's values x_1..x_n and of its histogram of levels (p_g = share of level g). */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

#define EPSILON 2.220446049250313e-16 /* numpy.spacing(1), PyRadiomics' guard inside logarithms */

typedef struct {
    vd absolute[PARTS], second[PARTS], third[PARTS], fourth[PARTS], inside_sum[PARTS], inside_count[PARTS];
} moments_t;

static void add_moments(moments_t *m, const double *v, int64_t n, double mean, double p10, double p90) {
    for (int64_t i = 0; i < n; i += 8)
        for (int q = 0; q < PARTS; q++) {
            const vd x = load(v + i + LANES * q), d = x - all(mean), d2 = d * d;
            const md inside = (x >= all(p10)) & (x <= all(p90));
            m->absolute[q] += magnitude(d);
            m->second[q] += d2;
            m->third[q] += d2 * d;
            m->fourth[q] += d2 * d2;
            m->inside_sum[q] += keep(inside, x);
            m->inside_count[q] += keep(inside, all(1));
        }
}

/* sum of |x - centre| over the values from p10 to p90 */
static double robust_sum(const double *v, int64_t n, double centre, double p10, double p90) {
    vd sum[PARTS];
    for (int q = 0; q < PARTS; q++) sum[q] = all(0);
    for (int64_t i = 0; i < n; i += 8)
        for (int q = 0; q < PARTS; q++) {
            const vd x = load(v + i + LANES * q);
            sum[q] += keep((x >= all(p10)) & (x <= all(p90)), magnitude(x - all(centre)));
        }
    return join(sum);
}

static void first_order(const double *v, int64_t n, const extent_t *e, const int32_t *histogram, int levels,
                        const double *percentile, double pixel_area, double *out) {
    const double p10 = percentile[0], p90 = percentile[4];
    const int64_t whole = n & ~(int64_t)7;
    moments_t m;
    memset(&m, 0, sizeof m);
    add_moments(&m, v, whole, e->mean, p10, p90);
    double absolute = join(m.absolute), second = join(m.second), third = join(m.third), fourth = join(m.fourth);
    double inside_sum = join(m.inside_sum), inside = join(m.inside_count);
    for (int64_t i = whole; i < n; i++) {
        const double d = v[i] - e->mean, d2 = d * d;
        absolute += fabs(d);
        second += d2;
        third += d2 * d;
        fourth += d2 * d2;
        if (v[i] >= p10 && v[i] <= p90) { inside_sum += v[i]; inside += 1; }
    }
    const double centre = inside_sum / inside;
    double spread = robust_sum(v, whole, centre, p10, p90);
    for (int64_t i = whole; i < n; i++)
        if (v[i] >= p10 && v[i] <= p90) spread += fabs(v[i] - centre);

    const double count = (double)n, variance = second / count;
    third /= count;
    fourth /= count;
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
    out[7] = absolute / count;                                           /* MeanAbsoluteDeviation */
    out[8] = e->mean;                                                     /* Mean */
    out[9] = percentile[2];                                               /* Median */
    out[10] = e->lowest;                                                  /* Minimum */
    out[11] = e->highest - e->lowest;                                     /* Range */
    out[12] = spread / inside;                                             /* RobustMeanAbsoluteDeviation */
    out[13] = sqrt(e->energy / count);                                    /* RootMeanSquared */
    out[14] = variance != 0 ? third / (variance * sqrt(variance)) : 0;    /* Skewness */
    out[15] = e->energy * pixel_area;                                     /* TotalEnergy */
    out[16] = uniformity;                                                 /* Uniformity: sum p^2 */
    out[17] = variance;                                                   /* Variance */
}
