/* The general path: any number of levels, distances, either GLCM form. Matrices are sparse lists made by sorting, so
 * that memory grows with the region's pixels and never with levels squared. */
#ifndef FAST2D_GENERAL_H
#define FAST2D_GENERAL_H

#include "fast2d.h"

/* A direction and distance; one of each pair of opposites. */
typedef struct {
    int row, column;
} offset_t;

typedef struct {
    const plan_t *plan;
    const settings_t *settings;
    int64_t n;
    int32_t *level;            /* [n] */
    int32_t *rank;             /* [n] of the level among those present */
    int32_t *at;               /* [height * width] region pixel there, -1 outside */
    int32_t *row, *column;     /* [n] within the bounding box */
    int32_t *histogram;        /* [top + 1] pixels of each level */
    double *value;             /* [n_present] the levels present, ascending */
    int64_t n_present, top;    /* top: the largest level */
    offset_t *offsets;         /* PyRadiomics' angles */
    int64_t n_offsets;
    uint64_t *keys, *spare;    /* [2 n] for sorting */
} region_t;

/* One cell of a sparse matrix of counts. */
typedef struct {
    int32_t row, column;
    double count;
} entry_t;

/* Region pixel `o` away from pixel i, or -1. */
static inline int64_t neighbour(const region_t *r, int64_t i, int row, int column) {
    const int64_t y = r->row[i] + row, x = r->column[i] + column;
    if (y < 0 || x < 0 || y >= r->plan->height || x >= r->plan->width) return -1;
    return r->at[y * r->plan->width + x];
}

/* sort.c: ascending, all keys below `limit`; the result is in keys */
void sort_keys(uint64_t *keys, uint64_t *spare, int64_t n, uint64_t limit);
/* general_glcm.c */
int general_glcm(const region_t *r, double *out);
/* lanczos.c: MCC of a matrix with these sums of rows and columns, [n_levels] each */
int sparse_mcc(const entry_t *cells, int64_t n, int64_t n_levels, const double *rows, const double *columns,
               double *mcc);

#endif
