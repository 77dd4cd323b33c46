/* GLCM as a sparse list of cells, one matrix per offset, features averaged over offsets that have pairs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "general.h"

#define EPSILON 2.220446049250313e-16

typedef struct {
    entry_t *cells;            /* [2 n] */
    double *px, *py;           /* [n_present] counts of rows and columns */
    double *sum, *difference;  /* [2 top + 1], [top + 1] counts of i + j and |i - j| */
    double total;              /* all counts */
} matrix_t;

/* Of counts that add up to `total`. Counts are whole numbers and are divided last: sums of them are exact, so that the
 * mean of one level is that level and its variance 0. */
static double entropy(const double *count, int64_t n, double total) {
    double s = 0;
    for (int64_t k = 0; k < n; k++)
        if (count[k] > 0) s -= count[k] / total * log2(count[k] / total);
    return s;
}

/* Pairs of levels at this offset, as cells sorted by row; returns their number. */
static int64_t fill(const region_t *r, offset_t o, matrix_t *m) {
    int64_t pairs = 0, n = 0;
    const uint64_t levels = (uint64_t)r->n_present;
    for (int64_t i = 0; i < r->n; i++) {
        const int64_t j = neighbour(r, i, o.row, o.column);
        if (j < 0) continue;
        const uint64_t a = (uint64_t)r->rank[i], b = (uint64_t)r->rank[j];
        r->keys[pairs++] = a * levels + b;
        if (r->settings->symmetrical) r->keys[pairs++] = b * levels + a;
    }
    sort_keys(r->keys, r->spare, pairs, levels * levels);
    for (int64_t k = 0; k < pairs; k++) {
        if (!k || r->keys[k] != r->keys[k - 1])
            m->cells[n++] = (entry_t){(int32_t)(r->keys[k] / levels), (int32_t)(r->keys[k] % levels), 0};
        m->cells[n - 1].count += 1;
    }
    memset(m->px, 0, sizeof(double) * (size_t)r->n_present);
    memset(m->py, 0, sizeof(double) * (size_t)r->n_present);
    memset(m->sum, 0, sizeof(double) * (size_t)(2 * r->top + 1));
    memset(m->difference, 0, sizeof(double) * (size_t)(r->top + 1));
    m->total = (double)pairs;
    for (int64_t k = 0; k < n; k++) {
        const entry_t *c = m->cells + k;
        const int64_t i = (int64_t)r->value[c->row], j = (int64_t)r->value[c->column];
        m->px[c->row] += c->count;
        m->py[c->column] += c->count;
        m->sum[i + j] += c->count;
        m->difference[i > j ? i - j : j - i] += c->count;
    }
    return n;
}

/* Adds one matrix' features to out. */
static int add_features(const region_t *r, const matrix_t *m, int64_t n, double *out) {
    double ux = 0, uy = 0, vx = 0, vy = 0;
    for (int64_t k = 0; k < r->n_present; k++) {
        ux += m->px[k] * r->value[k];
        uy += m->py[k] * r->value[k];
    }
    ux /= m->total;
    uy /= m->total;
    for (int64_t k = 0; k < r->n_present; k++) {
        vx += m->px[k] * (r->value[k] - ux) * (r->value[k] - ux);
        vy += m->py[k] * (r->value[k] - uy) * (r->value[k] - uy);
    }
    vx /= m->total;
    vy /= m->total;
    double covariance = 0, joint = 0, energy = 0, top = 0, product = 0, second = 0, third = 0, fourth = 0;
    for (int64_t k = 0; k < n; k++) {
        const double p = m->cells[k].count / m->total, i = r->value[m->cells[k].row], j = r->value[m->cells[k].column];
        const double t = i + j - ux - uy;
        covariance += p * (i - ux) * (j - uy);
        product += p * i * j;
        second += p * t * t;
        third += p * t * t * t;
        fourth += p * t * t * t * t;
        joint -= p * log2(p);
        energy += p * p;
        top = p > top ? p : top;
    }
    double average = 0, contrast = 0, spread = 0, id = 0, idm = 0, idn = 0, idmn = 0, inverse = 0, sum_average = 0;
    const double g = (double)r->top;
    for (int64_t k = 0; k <= r->top; k++) {
        const double p = m->difference[k] / m->total, x = (double)k;
        if (p == 0) continue;
        average += m->difference[k] * x;
        contrast += p * x * x;
        id += p / (1 + x);
        idm += p / (1 + x * x);
        idn += p / (1 + x / g);
        idmn += p / (1 + x * x / (g * g));
        if (k) inverse += p / (x * x);
    }
    average /= m->total;
    for (int64_t k = 0; k <= r->top; k++)
        spread += m->difference[k] * ((double)k - average) * ((double)k - average);
    for (int64_t k = 2; k <= 2 * r->top; k++) sum_average += m->sum[k] * (double)k;
    spread /= m->total;
    sum_average /= m->total;
    const double hx = entropy(m->px, r->n_present, m->total), hy = entropy(m->py, r->n_present, m->total);
    const double information = hx + hy - joint, most = hx > hy ? hx : hy, deviation = sqrt(vx) * sqrt(vy);
    const int informed = r->n_present > 1 && information > 1e-12;
    double mcc = 1;
    if (r->n_present > 1) {
        const int error = sparse_mcc(m->cells, n, r->n_present, m->px, m->py, &mcc);
        if (error) return error;
    }
    const double features[24] = {
        product, fourth, third, second, contrast,               /* Autocorrelation, Cluster*, Contrast */
        deviation == 0 ? 1 : covariance / (deviation + EPSILON), /* Correlation */
        average, entropy(m->difference, r->top + 1, m->total), spread,    /* Difference Average, Entropy, Variance */
        id, idm, idmn, idn,                                     /* Id, Idm, Idmn, Idn */
        informed ? -information / most : 0,                     /* Imc1 */
        informed ? sqrt(1 - exp(-2 * information)) : 0,         /* Imc2 */
        inverse, ux, energy, joint, mcc, top,                   /* InverseVariance, Joint*, MCC, MaximumProbability */
        sum_average, entropy(m->sum, 2 * r->top + 1, m->total), vx};      /* SumAverage, SumEntropy, SumSquares */
    for (int k = 0; k < 24; k++) out[k] += features[k];
    return DONE;
}

int general_glcm(const region_t *r, double *out) {
    matrix_t m;
    m.cells = malloc(sizeof(entry_t) * (size_t)(2 * r->n));
    m.px = malloc(sizeof(double) * (size_t)(2 * r->n_present + 3 * r->top + 2));
    int error = m.cells && m.px ? DONE : NO_MEMORY;
    int64_t used = 0;
    for (int k = 0; k < 24; k++) out[k] = 0;
    if (!error) {
        m.py = m.px + r->n_present;
        m.sum = m.py + r->n_present;
        m.difference = m.sum + 2 * r->top + 1;
        for (int64_t o = 0; o < r->n_offsets && !error; o++) {
            const int64_t n = fill(r, r->offsets[o], &m);
            if (!n) continue;
            used++;
            error = add_features(r, &m, n, out);
        }
    }
    for (int k = 0; k < 24; k++) out[k] /= (double)used; /* NaN where no offset has a pair */
    free(m.cells);
    free(m.px);
    return error;
}
