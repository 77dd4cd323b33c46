/* The general path's driver, first order, runs, zones, dependences and tones. */
#include "general.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "extent.c"
#include "firstorder.c"
#include "ngtdm.c"
#include "sizematrix.c"
#include "sizecolumns.c"

static void region_free(region_t *r) {
    free(r->level); free(r->rank); free(r->at); free(r->row); free(r->column); free(r->histogram); free(r->value);
    free(r->offsets); free(r->keys); free(r->spare);
}

/* All offsets whose larger step is one of the distances and that fit the bounding box, in PyRadiomics' orientation:
 * to the rows below, and to the right within the row. Without `out` they are only counted. */
static int64_t find_offsets(const plan_t *p, const settings_t *s, offset_t *out) {
    int64_t n = 0;
    for (int k = 0; k < s->n_distances; k++) {
        const int d = s->distances[k];
        for (int y = 0; y <= d && y < p->height; y++)
            for (int x = y ? -d : 1; x <= d; x++) {
                if ((y < d && abs(x) < d) || abs(x) >= p->width) continue;
                if (out) out[n] = (offset_t){y, x};
                n++;
            }
    }
    return n;
}

#define ALLOCATE(field, count) \
    do { \
        r->field = aligned_zeros(sizeof(*r->field) * (size_t)(count)); \
        if (!r->field) return NO_MEMORY; \
    } while (0)

static int region_make(region_t *r, const plan_t *p, const settings_t *s, const grid_t *g, const double *values) {
    *r = (region_t){.plan = p, .settings = s, .n = p->n};
    ALLOCATE(level, p->n);
    ALLOCATE(rank, p->n);
    ALLOCATE(row, p->n);
    ALLOCATE(column, p->n);
    ALLOCATE(at, p->height * p->width);
    ALLOCATE(keys, 2 * p->n);
    ALLOCATE(spare, 2 * p->n);
    r->n_offsets = find_offsets(p, s, NULL);
    ALLOCATE(offsets, r->n_offsets);
    find_offsets(p, s, r->offsets);
    memset(r->at, 255, sizeof(int32_t) * (size_t)(p->height * p->width));
    for (int64_t i = 0; i < p->n; i++) {
        r->level[i] = grid_level(g, values[i]);
        if (r->level[i] > r->top) r->top = r->level[i];
        r->row[i] = (int32_t)(p->position[i] / p->stride - FRAME);
        r->column[i] = (int32_t)(p->position[i] % p->stride - FRAME);
        r->at[r->row[i] * p->width + r->column[i]] = (int32_t)i;
    }
    if (r->top > MAX_LEVELS) return TOO_MANY_LEVELS;
    ALLOCATE(histogram, r->top + 1);
    for (int64_t i = 0; i < p->n; i++) r->histogram[r->level[i]]++;
    ALLOCATE(value, r->top);
    int32_t *by_level = aligned_zeros(sizeof(int32_t) * (size_t)(r->top + 1));
    if (!by_level) return NO_MEMORY;
    for (int64_t k = 1; k <= r->top; k++)
        if (r->histogram[k]) {
            by_level[k] = (int32_t)r->n_present;
            r->value[r->n_present++] = (double)k;
        }
    for (int64_t i = 0; i < p->n; i++) r->rank[i] = by_level[r->level[i]];
    free(by_level);
    return DONE;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* numpy's linear interpolation, on sorted values */
static double percentile_of(const double *sorted, int64_t n, double quantile) {
    const double at = quantile * (double)(n - 1), g = at - floor(at);
    const int64_t k = (int64_t)floor(at);
    const double low = sorted[k], high = sorted[k + 1 < n ? k + 1 : n - 1], d = high - low;
    return g >= 0.5 ? high - d * (1.0 - g) : low + d * g;
}

static void general_first_order(work_t *w, const region_t *r, double *out) {
    static const double quantile[5] = {0.10, 0.25, 0.50, 0.75, 0.90};
    double percentile[5];
    memcpy(w->chosen, w->values, sizeof(double) * (size_t)r->n);
    qsort(w->chosen, (size_t)r->n, sizeof(double), ascending);
    for (int q = 0; q < 5; q++) percentile[q] = percentile_of(w->chosen, r->n, quantile[q]);
    const extent_t e = extent(w->values, r->n);
    first_order(w->values, r->n, &e, r->histogram, (int)r->top, percentile, r->plan->row_mm * r->plan->column_mm, out);
}

/* Sizes and levels of n things, as keys, to a list of cells sorted by size. */
static int64_t to_cells(const region_t *r, int64_t n, cell_t *out) {
    const uint64_t levels = (uint64_t)r->top + 1;
    int64_t kept = 0;
    sort_keys(r->keys, r->spare, n, ((uint64_t)r->n + 2) * levels);
    for (int64_t k = 0; k < n; k++) {
        if (!k || r->keys[k] != r->keys[k - 1])
            out[kept++] = (cell_t){(int64_t)(r->keys[k] / levels), (int32_t)(r->keys[k] % levels), 0};
        out[kept - 1].count++;
    }
    return kept;
}

static void put(const region_t *r, int64_t k, int64_t size, int64_t i) {
    r->keys[k] = (uint64_t)size * ((uint64_t)r->top + 1) + (uint64_t)r->level[i];
}

static int64_t find_runs(const region_t *r, int row, int column) {
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const int64_t before = neighbour(r, i, -row, -column);
        if (before >= 0 && r->level[before] == r->level[i]) continue;
        int64_t length = 1, j = neighbour(r, i, row, column);
        for (; j >= 0 && r->level[j] == r->level[i]; j = neighbour(r, j, row, column)) length++;
        put(r, n++, length, i);
    }
    return n;
}

static void general_runs(const work_t *w, const region_t *r, cell_t *cells, double *per_level, double *out) {
    static const int row[DIRECTIONS] = {0, 1, 1, 1}, column[DIRECTIONS] = {1, 0, 1, -1};
    int used = 0;
    for (int k = 0; k < 16; k++) out[k] = 0;
    for (int d = 0; d < DIRECTIONS; d++) {
        if (!r->plan->runs[d]) continue;
        used++;
        const int64_t n = to_cells(r, find_runs(r, row[d], column[d]), cells);
        const size_features_t f = size_features(w, NULL, 0, cells, n, per_level);
        add_run_features(&f, (double)r->n, out);
    }
    for (int k = 0; k < 16; k++) out[k] /= used;
}

/* Zones by flooding; `stack` holds the pixels whose neighbours are to be looked at. */
static void general_zones(const work_t *w, const region_t *r, cell_t *cells, double *per_level, int32_t *stack,
                          uint8_t *seen, double *out) {
    int64_t zones = 0;
    for (int64_t i = 0; i < r->n; i++) {
        if (seen[i]) continue;
        int64_t depth = 0, size = 0;
        stack[depth++] = (int32_t)i;
        seen[i] = 1;
        while (depth) {
            const int64_t at = stack[--depth];
            size++;
            for (int y = -1; y <= 1; y++)
                for (int x = -1; x <= 1; x++) {
                    const int64_t j = neighbour(r, at, y, x);
                    if (j < 0 || seen[j] || r->level[j] != r->level[i]) continue;
                    seen[j] = 1;
                    stack[depth++] = (int32_t)j;
                }
        }
        put(r, zones++, size, i);
    }
    const int64_t n = to_cells(r, zones, cells);
    const size_features_t f = size_features(w, NULL, 0, cells, n, per_level);
    zone_features(&f, (double)r->n, out);
}

/* One look at each pixel's neighbours at the distances: how many have its level, and how far it is from their mean. */
static void general_neighbours(const work_t *w, const region_t *r, cell_t *cells, double *per_level, tones_t *t,
                               double *out_gldm, double *out_ngtdm) {
    for (int64_t k = 0; k < r->n_present; k++) {
        t->value[k] = r->value[k];
        t->share[k] = r->histogram[(int64_t)r->value[k]] / (double)r->n;
        t->difference[k] = 0;
    }
    for (int64_t i = 0; i < r->n; i++) {
        int64_t same = 0, around = 0, sum = 0;
        for (int64_t o = 0; o < r->n_offsets; o++)
            for (int sign = -1; sign <= 1; sign += 2) {
                const int64_t j = neighbour(r, i, sign * r->offsets[o].row, sign * r->offsets[o].column);
                if (j < 0) continue;
                around++;
                sum += r->level[j];
                same += r->level[j] == r->level[i];
            }
        put(r, i, same + 1, i);
        if (around) {
            const int64_t far = r->level[i] * around - sum;
            t->difference[r->rank[i]] += (double)(far < 0 ? -far : far) / (double)around;
        }
    }
    const int64_t n = to_cells(r, r->n, cells);
    const size_features_t f = size_features(w, NULL, 0, cells, n, per_level);
    dependence_features(&f, out_gldm);
    tone_features(t, r->n_present, (double)r->n, out_ngtdm);
}

int general_features(work_t *w, const plan_t *p, const settings_t *s, const grid_t *g, double *out) {
    region_t r;
    int error = region_make(&r, p, s, g, w->values);
    if (error) {
        region_free(&r);
        return error;
    }
    const int64_t row = (r.top + 8) & ~(int64_t)7, tones = r.n_present + 4;
    double *tables = aligned_zeros(sizeof(double) * (size_t)(3 * row + 5 * tones));
    cell_t *cells = aligned_zeros(sizeof(cell_t) * (size_t)r.n);
    uint8_t *seen = aligned_zeros((size_t)r.n);
    if (!tables || !cells || !seen) error = NO_MEMORY;
    if (!error) {
        /* the workspace as sizematrix.c reads it, with weights for these levels */
        work_t view = {.level_stride = row, .k_log_k = w->k_log_k, .square = tables, .inverse_square = tables + row};
        double *per_level = tables + 2 * row, *tone = tables + 3 * row;
        tones_t t = {tone, tone + tones, tone + 2 * tones, tone + 3 * tones, tone + 4 * tones};
        for (int64_t k = 1; k < row; k++) {
            view.square[k] = (double)k * (double)k;
            view.inverse_square[k] = 1.0 / view.square[k];
        }
        general_first_order(w, &r, out + FIRST_ORDER);
        general_runs(&view, &r, cells, per_level, out + GLRLM);
        general_zones(&view, &r, cells, per_level, w->label, seen, out + GLSZM);
        general_neighbours(&view, &r, cells, per_level, &t, out + GLDM, out + NGTDM);
        error = general_glcm(&r, out + GLCM);
    }
    free(tables);
    free(cells);
    free(seen);
    region_free(&r);
    return error;
}
