/* Types shared by all parts: the plan of a mask, the settings, the grid of grey levels, one thread's workspace.
 *
 * Words: a *map* is one image of numbers; the *region* is the mask's pixels in raster order (n of them); the *box* is
 * the mask's bounding box with a margin of level 0 ("outside") of FRAME pixels all round, stored row after row, so that
 * a neighbour is a constant offset away and needs no test.
 */
#ifndef FAST2D_H
#define FAST2D_H

#include <stddef.h>
#include <stdint.h>

enum { FRAME = 2 };            /* margin of the box: a run needs the pixel two steps back */
enum { SLACK = 64 };           /* vector loops may read and write this many elements beyond an array's end */
enum { MAX_LEVELS = 65535 };   /* PyRadiomics' own limit is memory; ours is stated */
enum { FAST_LEVELS = 254 };    /* levels of the fast path fit a byte, with 0 for outside */
enum { FAST_PIXELS = 1 << 20 };/* zone sizes and neighbour differences of the fast path fit their packed counters */
enum { FAST_SIDE = 1 << 15 };  /* tables of run lengths stay small */
enum { FINE_BINS = 1024 };     /* of the histogram that finds the percentiles */
enum { ZONE_ROWS = 32 };       /* zones of more pixels are listed one by one */
enum { DIRECTIONS = 4 };       /* east, south, south-east, south-west: distance 1 */
enum { N_FEATURES = 93, N_SHAPE = 9 };
enum { FIRST_ORDER = 0, GLCM = 18, GLRLM = 42, GLSZM = 58, GLDM = 74, NGTDM = 88 };

enum { DONE = 0, NOT_FINITE = 1, TOO_MANY_LEVELS = 2, TOO_FINE = 3, NO_MEMORY = 4 };

/* A row of neighbouring region pixels. */
typedef struct {
    int64_t image;             /* index of the first pixel in an image of the mask's shape */
    int32_t box;               /* and in the box */
    int32_t row, column;       /* and as coordinates in the image */
    int32_t length;
} segment_t;

/* All that depends on the mask alone. */
typedef struct {
    uint64_t id;               /* of no other plan in this process; an address may come again */
    int64_t n;                 /* pixels in the region */
    int64_t rows, columns;     /* of the image */
    int64_t top, left, height, width; /* bounding box */
    int64_t stride, size;      /* of the box with its margin */
    int64_t n_segments;
    segment_t *segments;
    int32_t *position;         /* [n] of each region pixel in the box */
    uint8_t *around9;          /* [n + SLACK] 9 x the number of its 8 neighbours inside the region */
    uint8_t around_present[9]; /* whether any pixel has that number of neighbours */
    int64_t pairs[DIRECTIONS]; /* neighbours in that direction; a direction without any is not averaged */
    uint8_t runs[DIRECTIONS];  /* whether some line in that direction holds two region pixels */
    double row_mm, column_mm;
} plan_t;

typedef struct {
    int bins;                  /* levels between the extremes; 0: use width */
    double width;
    int symmetrical;
    int n_distances;
    const int32_t *distances;
} settings_t;

/* Level of x = number of edges <= x; edge k (from 0) is k * step + origin in double precision, as numpy makes it. */
typedef struct {
    double origin, step;
    double top;                /* the last edge of a bin count, beyond which a value gets a level of its own */
    int levels;                /* of the largest value */
    int bins;
    int plain;                 /* a level can be computed and corrected by one: edges are far apart in rounding errors */
} grid_t;

/* Number of grey levels in the map's range and its largest value decide the tables; the plan decides the rest. */
typedef struct {
    int64_t n, size, side, segments;  /* capacities */
    int levels;
    double *values, *chosen;
    uint8_t *level, *box, *same, *run_end, *equal, *hit;
    uint16_t *fine;
    uint32_t *zone_size;
    int32_t *label, *parent, *merged;
    uint32_t *list;
    int32_t *fine_count;
    int64_t level_stride;      /* of tables with a row per size or sum, a multiple of 8 */
    int32_t *pairs;            /* [level][level][direction] */
    uint64_t *packed;          /* [9 x neighbours + dependence][level]: pixels << 40 | sum of neighbour differences */
    int32_t *dependence;       /* [9][level] */
    int64_t *difference;       /* [level] */
    int32_t *runs[DIRECTIONS]; /* [length][level] */
    int32_t *sizes;            /* [size][level] */
    double *size_total;        /* [size] */
    double *mcc;               /* [level][level][direction] */
    double *distance_weight;   /* [4][level]: 1/(1+k), 1/(1+k^2), and with k/levels for k */
    int weighted_levels;       /* for which the latter two hold, in rows of this length */
    int64_t weighted_row;
    int64_t n_log;
    double *k_log_k;           /* k log2 k */
    double *square, *inverse_square; /* of a level; 0 for level 0 */
    uint64_t last_plan;        /* its id; the box is clean outside that plan's region */
    const double *next_map;    /* fetched into the cache meanwhile, or NULL */
} work_t;

/* plan.c */
plan_t *plan_new(const uint8_t *mask, int64_t rows, int64_t columns, double row_mm, double column_mm);
void plan_free(plan_t *plan);
/* shape2d.c */
int shape2d(const plan_t *plan, double *out);
/* work.c */
work_t *work_new(void);
void work_free(work_t *w);
int work_fit(work_t *w, const plan_t *p);
int work_fit_levels(work_t *w, const plan_t *p, int levels);
void *aligned_zeros(size_t bytes);
/* grid.c */
int grid_make(const settings_t *s, double lowest, double highest, grid_t *g);
int grid_level(const grid_t *g, double x);
/* general.c */
int general_features(work_t *w, const plan_t *p, const settings_t *s, const grid_t *g, double *out);

/* limit.c */
uint32_t bare_increments(const uint16_t *index, int64_t n, int64_t repeats);

/* One build of the vector code for one instruction set. */
typedef struct {
    const char *name;
    /* Features of `values` (n, then SLACK of anything), which are already in w->values. */
    int (*features)(work_t *w, const plan_t *p, const settings_t *s, double *out);
    /* Copies the region's pixels of a map to w->values. */
    void (*gather)(work_t *w, const plan_t *p, const double *map);
    /* Correlates a padded image (row length `stride`) with one kernel at the region's pixels, into w->values. */
    void (*filter)(work_t *w, const plan_t *p, const double *padded, int64_t stride, const double *kernel, int64_t h,
                   int64_t wd, double bias);
} engine_t;

extern const engine_t engine_baseline;
#ifdef FAST2D_X86
extern const engine_t engine_avx2, engine_avx512;
#endif

#endif
