/* One thread's memory, kept between maps and grown when a larger mask or more levels come. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fast2d.h"

void *aligned_zeros(size_t bytes) {
    void *p = NULL;
    size_t rounded = (bytes + 63 + !bytes) & ~(size_t)63;
    if (posix_memalign(&p, 64, rounded)) return NULL;
    return memset(p, 0, rounded);
}

work_t *work_new(void) { return aligned_zeros(sizeof(work_t)); }

static void free_plan_part(work_t *w) {
    free(w->values); free(w->chosen); free(w->level); free(w->box); free(w->same); free(w->run_end); free(w->equal);
    free(w->hit); free(w->fine); free(w->zone_size); free(w->label); free(w->parent); free(w->merged);
    free(w->list); free(w->k_log_k);
    w->values = w->chosen = w->k_log_k = NULL;
    w->level = w->box = w->same = w->run_end = w->equal = w->hit = NULL;
    w->fine = NULL; w->zone_size = NULL; w->list = NULL;
    w->label = w->parent = w->merged = NULL;
    w->n = w->size = 0;
    w->last_plan = 0;
}

static void free_level_part(work_t *w) {
    free(w->pairs); free(w->packed); free(w->dependence); free(w->difference); free(w->sizes); free(w->mcc);
    free(w->square); free(w->inverse_square); free(w->size_total); free(w->distance_weight);
    for (int d = 0; d < DIRECTIONS; d++) { free(w->runs[d]); w->runs[d] = NULL; }
    w->pairs = w->dependence = w->sizes = NULL;
    w->packed = NULL; w->difference = NULL;
    w->mcc = w->square = w->inverse_square = w->size_total = w->distance_weight = NULL;
    w->weighted_levels = 0;
    w->levels = 0;
    w->side = 0;
}

void work_free(work_t *w) {
    if (!w) return;
    free_plan_part(w);
    free_level_part(w);
    free(w->fine_count);
    free(w);
}

#define ALLOCATE(field, count) \
    do { \
        w->field = aligned_zeros(sizeof(*w->field) * (size_t)(count)); \
        if (!w->field) return NO_MEMORY; \
    } while (0)

/* Room for the plan's pixels; a plan other than the last one finds a box of outside. */
int work_fit(work_t *w, const plan_t *p) {
    if (!w->fine_count) ALLOCATE(fine_count, FINE_BINS + SLACK);
    if (p->n > w->n || p->size > w->size) {
        int64_t n = p->n, size = p->size;
        free_plan_part(w);
        ALLOCATE(values, n + SLACK);
        ALLOCATE(chosen, n + SLACK);
        ALLOCATE(level, n + SLACK);
        ALLOCATE(box, size + SLACK);
        ALLOCATE(same, n + SLACK);
        ALLOCATE(run_end, n + SLACK);
        ALLOCATE(equal, n + SLACK);
        ALLOCATE(hit, n + SLACK);
        ALLOCATE(fine, n + SLACK);
        ALLOCATE(zone_size, n + SLACK);
        ALLOCATE(label, size + SLACK);
        ALLOCATE(parent, n + SLACK);
        ALLOCATE(merged, n + SLACK);
        ALLOCATE(list, n + SLACK);
        ALLOCATE(k_log_k, 2 * n + 2);
        for (int64_t k = 2; k < 2 * n + 2; k++) w->k_log_k[k] = (double)k * log2((double)k);
        for (int64_t i = 0; i < n; i++) w->parent[i] = (int32_t)i;
        w->n = n;
        w->size = size;
    } else if (w->last_plan != p->id) {
        memset(w->box, 0, (size_t)p->size + SLACK);
    }
    w->last_plan = p->id;
    return DONE;
}

/* Room for the fast path's tables. */
int work_fit_levels(work_t *w, const plan_t *p, int levels) {
    int64_t side = p->height > p->width ? p->height : p->width;
    if (levels <= w->levels && side <= w->side) return DONE;
    if (levels < w->levels) levels = w->levels;
    if (side < w->side) side = w->side;
    free_level_part(w);
    int64_t cells = (int64_t)(levels + 1) * (levels + 1), row = (levels + 8) & ~7;
    ALLOCATE(pairs, DIRECTIONS * cells);
    ALLOCATE(mcc, DIRECTIONS * cells);
    ALLOCATE(packed, 81 * row);
    ALLOCATE(dependence, 9 * row);
    ALLOCATE(difference, row);
    ALLOCATE(sizes, (side > ZONE_ROWS ? side + 2 : ZONE_ROWS + 1) * row);
    ALLOCATE(size_total, side > ZONE_ROWS ? side + 2 : ZONE_ROWS + 1);
    ALLOCATE(distance_weight, 4 * row);
    for (int d = 0; d < DIRECTIONS; d++) ALLOCATE(runs[d], (side + 2) * row);
    ALLOCATE(square, row);
    ALLOCATE(inverse_square, row);
    for (int g = 1; g < row; g++) {
        w->square[g] = (double)g * g;
        w->inverse_square[g] = 1.0 / w->square[g];
    }
    w->levels = levels;
    w->side = side;
    return DONE;
}
