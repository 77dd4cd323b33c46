/* What the three builds of divergence_kernel.c are given; see evaluators/divergence_compiled.py. */

#ifndef HARMBENCH_DIVERGENCE_H
#define HARMBENCH_DIVERGENCE_H

#include <stdint.h>

#define DIVERGENCE_CHUNK 8 /* rows that are walked over at once */

typedef struct {
    /* Features: rows of each one in the order of its values, padded to a multiple of DIVERGENCE_CHUNK with `rows`. */
    const int32_t *order; /* (features, padded) */
    const int64_t *inside; /* (features, padded): 0 at the last row of a run of equal values, else -1; or NULL */
    int64_t features, padded, rows;
    /* Replicates. */
    const int16_t *codes;  /* (rows, replicates), or (rows) when the manufacturer is the same in all of them */
    const int32_t *counts; /* (rows, replicates), or NULL for ones */
    int64_t replicates;
    int fixed_codes;
    /* Contrasts: one manufacturer against the mixture of others that weigh the same. */
    const int32_t *own;    /* (contrasts) */
    const uint8_t *others; /* (contrasts, manufacturers): whether it is one of the others */
    const double *share;   /* (contrasts): what the divergence is multiplied by before it is added to `out` */
    int64_t contrasts, manufacturers;
    int bins;
    double tolerance;
    int wide;       /* work with 64 bits even where 32 are enough: the same figures, for tests */
    int64_t narrow; /* set: how many contrasts of groups of replicates were worked on with 32 bits */
    double *out;       /* (features, contrasts, replicates): added to */
    double *effective; /* the same shape: bins that hold mass, times share, added to; or NULL */
} divergence_task;

/* 0: done; 1: no memory; 2: too many rows for the fixed point (then nothing was added). */
int divergence_baseline(divergence_task *task);
int divergence_avx2(divergence_task *task);
int divergence_avx512(divergence_task *task);

#endif
