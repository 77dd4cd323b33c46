/* The plan of a mask: what every map over it shares. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fast2d.h"

static const int STEP_ROW[DIRECTIONS] = {0, 1, 1, 1}, STEP_COLUMN[DIRECTIONS] = {1, 0, 1, -1};

/* 1 at the region's pixels of the box with its margin. */
static uint8_t *draw(const plan_t *p, const uint8_t *mask) {
    uint8_t *inside = aligned_zeros((size_t)p->size);
    if (!inside) return NULL;
    for (int64_t y = 0; y < p->height; y++) {
        const uint8_t *from = mask + (p->top + y) * p->columns + p->left;
        uint8_t *to = inside + (y + FRAME) * p->stride + FRAME;
        for (int64_t x = 0; x < p->width; x++) to[x] = from[x] != 0;
    }
    return inside;
}

static void find_box(plan_t *p, const uint8_t *mask) {
    int64_t top = -1, bottom = -1, left = p->columns, right = -1;
    for (int64_t y = 0; y < p->rows; y++) {
        const uint8_t *row = mask + y * p->columns;
        int64_t in_row = 0;
        for (int64_t x = 0; x < p->columns; x++) in_row += row[x];
        if (!in_row) continue;
        p->n += in_row;
        if (top < 0) top = y;
        bottom = y;
        for (int64_t x = 0; x < left; x++)
            if (row[x]) left = x;
        for (int64_t x = p->columns - 1; x > right; x--)
            if (row[x]) right = x;
    }
    if (!p->n) return;
    p->top = top; p->left = left;
    p->height = bottom - top + 1; p->width = right - left + 1;
    p->stride = p->width + 2 * FRAME;
    p->size = p->stride * (p->height + 2 * FRAME);
}

static int find_segments(plan_t *p, const uint8_t *inside) {
    for (int64_t q = 1; q < p->size; q++) p->n_segments += inside[q] & (inside[q - 1] ^ 1);
    p->segments = aligned_zeros(sizeof(segment_t) * (size_t)p->n_segments);
    p->position = aligned_zeros(sizeof(int32_t) * (size_t)(p->n + SLACK));
    if (!p->segments || !p->position) return NO_MEMORY;
    int32_t *position = p->position;
    int64_t q = 0;
    for (int64_t s = 0; s < p->n_segments; s++) {
        q = (const uint8_t *)memchr(inside + q, 1, (size_t)(p->size - q)) - inside;
        const int64_t end = (const uint8_t *)memchr(inside + q, 0, (size_t)(p->size - q)) - inside;
        const int64_t y = p->top + q / p->stride - FRAME, x = p->left + q % p->stride - FRAME;
        p->segments[s] = (segment_t){y * p->columns + x, (int32_t)q, (int32_t)y, (int32_t)x, (int32_t)(end - q)};
        for (; q < end; q++) *position++ = (int32_t)q;
    }
    return DONE;
}

/* 8-connected neighbours of every region pixel, and the pairs in each direction. */
static int count_neighbours(plan_t *p, const uint8_t *inside) {
    p->around9 = aligned_zeros((size_t)p->n + SLACK);
    uint8_t *around = aligned_zeros((size_t)p->size);
    if (!p->around9 || !around) {
        free(around);
        return NO_MEMORY;
    }
    const int64_t first = p->stride + 1, last = p->size - p->stride - 1;
    for (int d = 0; d < DIRECTIONS; d++) {
        const int64_t step = STEP_ROW[d] * p->stride + STEP_COLUMN[d];
        int64_t pairs = 0;
        for (int64_t q = first; q < last; q++) {
            pairs += inside[q] & inside[q + step];
            around[q] = (uint8_t)(around[q] + 9 * (inside[q + step] + inside[q - step]));
        }
        p->pairs[d] = pairs;
    }
    for (int64_t i = 0; i < p->n; i++) {
        p->around9[i] = around[p->position[i]];
        p->around_present[p->around9[i] / 9] = 1;
    }
    free(around);
    return DONE;
}

/* PyRadiomics drops a run direction in which no line holds two region pixels, or that does not fit the box. */
static int find_run_directions(plan_t *p) {
    const int64_t lines = p->height + p->width;
    int32_t *on_line = aligned_zeros(sizeof(int32_t) * (size_t)(DIRECTIONS * lines));
    if (!on_line) return NO_MEMORY;
    for (int64_t s = 0; s < p->n_segments; s++) {
        const int64_t y = p->segments[s].row - p->top, from = p->segments[s].column - p->left;
        on_line[y] += p->segments[s].length;
        for (int64_t x = from; x < from + p->segments[s].length; x++) {
            on_line[lines + x]++;
            on_line[2 * lines + y - x + p->width]++;
            on_line[3 * lines + y + x]++;
        }
    }
    for (int d = 0; d < DIRECTIONS; d++) {
        const int fits = !(STEP_ROW[d] && p->height < 2) && !(STEP_COLUMN[d] && p->width < 2);
        for (int64_t k = 0; k < lines; k++) p->runs[d] |= fits && on_line[d * lines + k] > 1;
    }
    free(on_line);
    return DONE;
}

/* NULL when memory is short. An empty mask gives a plan with n = 0, which the caller refuses. */
plan_t *plan_new(const uint8_t *mask, int64_t rows, int64_t columns, double row_mm, double column_mm) {
    plan_t *p = aligned_zeros(sizeof *p);
    if (!p) return NULL;
    static atomic_uint_fast64_t plans;
    p->id = atomic_fetch_add(&plans, 1) + 1;
    p->rows = rows; p->columns = columns;
    p->row_mm = row_mm; p->column_mm = column_mm;
    find_box(p, mask);
    if (!p->n) return p;
    if (p->size > INT32_MAX / 2) { /* positions are 32 bits */
        plan_free(p);
        return NULL;
    }
    uint8_t *inside = draw(p, mask);
    if (!inside || find_segments(p, inside) || count_neighbours(p, inside) || find_run_directions(p)) {
        free(inside);
        plan_free(p);
        return NULL;
    }
    free(inside);
    return p;
}

void plan_free(plan_t *p) {
    if (!p) return;
    free(p->segments);
    free(p->position);
    free(p->around9);
    free(p);
}
