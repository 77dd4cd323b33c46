/* Grey level co-occurrence matrix, symmetrical, distance 1: P(i, j) per direction, features averaged over directions.
 *
 * The four directions lie side by side in the table, so that a vector's lanes are the directions. With N counts in all,
 * -sum p log2 p = log2 N - sum c log2 c / N, from a table of c log2 c. The histograms of i + j and |i - j| give the
 * features of sums and differences.
 */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

#define EPSILON_GLCM 2.220446049250313e-16

/* Cell (a, b) of the n x n triangles, one after the other. */
static inline void put_cell(double *triangles, int64_t n, int64_t a, int64_t b, v4 x) {
    vd part[PARTS];
    memcpy(part, &x, sizeof part);
    for (int q = 0; q < PARTS; q++) ((vd *)triangles)[(q * n + a) * n + b] = part[q];
}

/* Counts of the symmetrical matrices; sums and differences hold half of theirs. */
typedef struct {
    i4 marginal[FAST_LEVELS + 1], sum[2 * FAST_LEVELS + 1], difference[FAST_LEVELS + 1];
    i4 largest;
    v4 squares, logs; /* sum c^2, sum c log2 c over all cells */
} counts_t;

static inline i4 larger(i4 a, i4 b) { i4 m = a > b; return (m & a) | (~m & b); }

static inline v4 look_up(const double *table, i4 c) { return (v4){table[c[0]], table[c[1]], table[c[2]], table[c[3]]}; }

/* One pass over the cells (`row` of them to a level). */
APART static void collect(const work_t *w, int levels, int64_t row, const int32_t *present, int n_present, counts_t *t) {
    const i4 *pairs = (const i4 *)w->pairs, none = {0, 0, 0, 0};
    v4 off_squares = all4(0), off_logs = off_squares, on_squares = off_squares, on_logs = off_squares;
    for (int k = 0; k <= levels; k++) t->marginal[k] = t->difference[k] = none;
    for (int k = 0; k <= 2 * levels; k++) t->sum[k] = none;
    t->largest = none;
    for (int a = 0; a < n_present; a++) {
        const int i = present[a];
        i4 total = none;
        for (int b = 0; b < a; b++) {
            const int j = present[b];
            const i4 c = pairs[i * row + j] + pairs[j * row + i];
            const v4 x = to_double4(c);
            total += c;
            t->marginal[j] += c;
            t->sum[i + j] += c;
            t->difference[i - j] += c;
            t->largest = larger(c, t->largest);
            off_squares += x * x;
            off_logs += look_up(w->k_log_k, c);
            put_cell(w->mcc, n_present, a, b, x);
        }
        const i4 half = pairs[i * row + i], c = half + half;
        const v4 x = to_double4(c);
        t->marginal[i] += total + c;
        t->sum[2 * i] += half;
        t->difference[0] += half;
        t->largest = larger(c, t->largest);
        on_squares += x * x;
        on_logs += look_up(w->k_log_k, c);
        put_cell(w->mcc, n_present, a, a, x);
    }
    t->squares = off_squares + off_squares + on_squares;
    t->logs = off_logs + off_logs + on_logs;
}

/* sum m log2 m over a histogram of half counts m / 2. */
static v4 logs_of_halves(const work_t *w, const i4 *halves, int first, int last) {
    v4 s = all4(0);
    for (int k = first; k <= last; k++) s += look_up(w->k_log_k, halves[k] + halves[k]);
    return s;
}

/* Weights of a difference k: Id, Idm and their normalised forms. */
static const double *distance_weights(work_t *w, int levels, int64_t row, int which) {
    if (w->weighted_levels != levels || w->weighted_row != row) {
        for (int64_t k = 0; k < row; k++) {
            const double x = (double)k, r = x / levels;
            w->distance_weight[k] = 1.0 / (1.0 + x);
            w->distance_weight[row + k] = 1.0 / (1.0 + x * x);
            w->distance_weight[2 * row + k] = 1.0 / (1.0 + r);
            w->distance_weight[3 * row + k] = 1.0 / (1.0 + (x * x) / ((double)levels * levels));
        }
        w->weighted_levels = levels;
        w->weighted_row = row;
    }
    return w->distance_weight + which * row;
}

/* B without its first eigenpair, B(i,j) = P(i,j) / sqrt(p_i p_j) - sqrt(p_i p_j), in place of the counts. */
static void deflate(vd *triangle, int n, const double (*root_marginal)[4], const double *over_total, int part) {
    vd root_of[FAST_LEVELS], inverse[FAST_LEVELS], over;
    memcpy(&over, over_total + LANES * part, sizeof over);
    for (int a = 0; a < n; a++) {
        memcpy(root_of + a, root_marginal[a] + LANES * part, sizeof(vd));
        /* a level without a partner in this direction has a row of zeros */
        inverse[a] = keep(more(root_of[a], all(0)), all(1) / choose(more(root_of[a], all(0)), root_of[a], all(1)));
    }
    for (int a = 0; a < n; a++) {
        vd *restrict line = triangle + (int64_t)a * n;
        const vd up = inverse[a], down = root_of[a] * over;
        for (int b = 0; b <= a; b++) line[b] = line[b] * up * inverse[b] - down * root_of[b];
    }
}

/* MCC of the four directions, from the triangles of counts. */
APART static void find_mcc(work_t *w, const counts_t *t, const int32_t *present, int n, const double *over_total,
                     double *mcc) {
    double root_marginal[FAST_LEVELS][4];
    for (int a = 0; a < n; a++)
        for (int d = 0; d < DIRECTIONS; d++) root_marginal[a][d] = sqrt((double)t->marginal[present[a]][d]);
    for (int q = 0; q < PARTS; q++) {
        vd *triangle = (vd *)w->mcc + (int64_t)q * n * n;
        deflate(triangle, n, (const double(*)[4])root_marginal, over_total, q);
        const vd found = spectral_radius(triangle, n);
        memcpy(mcc + LANES * q, &found, sizeof found);
    }
}

/* levels: the largest level present, PyRadiomics' Ng; the table has a row for `rows` of them. */
static void glcm_features(work_t *w, const plan_t *p, int rows, int levels, const int32_t *present, int n_present,
                          double *out) {
    counts_t t;
    collect(w, levels, rows, present, n_present, &t);
    v4 total, over;
    int used = 0;
    for (int d = 0; d < DIRECTIONS; d++) {
        total[d] = p->pairs[d] ? 2.0 * (double)p->pairs[d] : 1;
        over[d] = 1.0 / total[d];
        used += p->pairs[d] != 0;
    }
    const v4 zero = all4(0), log_total = {log2(total[0]), log2(total[1]), log2(total[2]), log2(total[3])};
    v4 mean = zero, logs_marginal = zero, variance = zero;
    for (int g = 1; g <= levels; g++) {
        mean += to_double4(t.marginal[g]) * (double)g;
        logs_marginal += look_up(w->k_log_k, t.marginal[g]);
    }
    mean /= total; /* divided, so that the mean of one level is that level and its variance 0 */
    for (int g = 1; g <= levels; g++) {
        const v4 x = (double)g - mean;
        variance += to_double4(t.marginal[g]) * x * x;
    }
    variance *= over;

    v4 tendency = zero, shade = zero, prominence = zero, sum_average = zero;
    for (int k = 2; k <= 2 * levels; k++) {
        const v4 c = to_double4(t.sum[k]) * 2.0, x = (double)k - 2.0 * mean, x2 = x * x;
        sum_average += c * (double)k;
        tendency += c * x2;
        shade += c * x2 * x;
        prominence += c * x2 * x2;
    }
    const int64_t row = w->level_stride;
    const double *id_w = distance_weights(w, levels, row, 0), *idm_w = distance_weights(w, levels, row, 1);
    const double *idn_w = distance_weights(w, levels, row, 2), *idmn_w = distance_weights(w, levels, row, 3);
    v4 average = zero, contrast = zero, id = zero, idm = zero, idn = zero, idmn = zero, inverse = zero, spread = zero;
    for (int k = 0; k < levels; k++) {
        const v4 c = to_double4(t.difference[k]) * 2.0;
        average += c * (double)k;
        contrast += c * w->square[k];
        id += c * id_w[k];
        idm += c * idm_w[k];
        idn += c * idn_w[k];
        idmn += c * idmn_w[k];
        inverse += c * w->inverse_square[k];
    }
    average /= total;
    for (int k = 0; k < levels; k++) {
        const v4 x = (double)k - average;
        spread += to_double4(t.difference[k]) * 2.0 * x * x;
    }
    contrast *= over;
    tendency *= over;
    const v4 covariance = 0.25 * (tendency - contrast);
    const v4 joint_entropy = log_total - t.logs * over, entropy = log_total - logs_marginal * over;
    const v4 sum_entropy = log_total - logs_of_halves(w, t.sum, 2, 2 * levels) * over;
    const v4 difference_entropy = log_total - logs_of_halves(w, t.difference, 0, levels - 1) * over;
    double mcc[4] = {1, 1, 1, 1}, over_total[4] = {over[0], over[1], over[2], over[3]};
    if (n_present > 1) find_mcc(w, &t, present, n_present, over_total, mcc);
    for (int k = 0; k < 24; k++) out[k] = 0;
    for (int d = 0; d < DIRECTIONS; d++) {
        if (!p->pairs[d]) continue;
        /* HXY1 = HXY2 = HX + HY; in a flat region rounding must not look like information */
        const double information = 2 * entropy[d] - joint_entropy[d];
        const int informed = n_present > 1 && information > 1e-12;
        out[0] += covariance[d] + mean[d] * mean[d];        /* Autocorrelation: sum p i j */
        out[1] += prominence[d] * over[d];                  /* ClusterProminence: sum p (i + j - 2 mean)^4 */
        out[2] += shade[d] * over[d];                       /* ClusterShade: ^3 */
        out[3] += tendency[d];                              /* ClusterTendency: ^2 */
        out[4] += contrast[d];                              /* Contrast: sum p (i - j)^2 */
        out[5] += variance[d] == 0 ? 1.0 : covariance[d] / (variance[d] + EPSILON_GLCM); /* Correlation */
        out[6] += average[d];                               /* DifferenceAverage: sum p |i - j| */
        out[7] += difference_entropy[d];                    /* DifferenceEntropy */
        out[8] += spread[d] * over[d];                      /* DifferenceVariance */
        out[9] += id[d] * over[d];                          /* Id: sum p / (1 + |i - j|) */
        out[10] += idm[d] * over[d];                        /* Idm: sum p / (1 + (i - j)^2) */
        out[11] += idmn[d] * over[d];                       /* Idmn: with (i - j)^2 / levels^2 */
        out[12] += idn[d] * over[d];                        /* Idn: with |i - j| / levels */
        out[13] += informed ? -information / entropy[d] : 0;            /* Imc1: (HXY - HXY1) / max(HX, HY) */
        out[14] += informed ? sqrt(1.0 - exp(-2.0 * information)) : 0;  /* Imc2 */
        out[15] += inverse[d] * over[d];                    /* InverseVariance: sum over i != j of p / (i - j)^2 */
        out[16] += mean[d];                                 /* JointAverage: sum p i */
        out[17] += t.squares[d] * over[d] * over[d];        /* JointEnergy: sum p^2 */
        out[18] += joint_entropy[d];                        /* JointEntropy */
        out[19] += mcc[d];                                  /* MCC */
        out[20] += t.largest[d] * over[d];                  /* MaximumProbability */
        out[21] += sum_average[d] * over[d];                /* SumAverage */
        out[22] += sum_entropy[d];                          /* SumEntropy */
        out[23] += variance[d];                             /* SumSquares: sum p (i - mean)^2 */
    }
    for (int k = 0; k < 24; k++) out[k] /= used;
}
