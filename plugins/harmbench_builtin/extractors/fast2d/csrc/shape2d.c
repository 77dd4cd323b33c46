/* shape2D: the outline by marching squares over the mask, its area and perimeter, the diameter and the axes. */
#include <math.h>
#include <stdlib.h>

#include "fast2d.h"

#define PI 3.14159265358979323846

typedef struct {
    int64_t y, x; /* twice the coordinates: outline points lie halfway between pixels */
} point_t;

static uint8_t *draw(const plan_t *p) {
    uint8_t *inside = aligned_zeros((size_t)p->size);
    if (inside)
        for (int64_t i = 0; i < p->n; i++) inside[p->position[i]] = 1;
    return inside;
}

/* Area and perimeter from the squares of four pixels: by how many, and which, are inside. */
static void outline(const plan_t *p, const uint8_t *inside, double *area, double *perimeter) {
    int64_t one = 0, two = 0, three = 0, four = 0, level = 0, upright = 0;
    for (int64_t y = FRAME - 1; y < p->height + FRAME; y++) {
        const uint8_t *up = inside + y * p->stride, *down = up + p->stride;
        int32_t count[6] = {0};
        for (int64_t x = FRAME - 1; x < p->width + FRAME; x++) {
            const int a = up[x], b = up[x + 1], d = down[x], c = down[x + 1], sum = a + b + c + d;
            count[0] += sum == 1;
            count[1] += sum == 2;
            count[2] += sum == 3;
            count[3] += sum == 4;
            count[4] += (a == b) & (c == d) & (a != c); /* the outline runs along the row */
            count[5] += (a == d) & (b == c) & (a != b); /* or the column */
        }
        one += count[0]; two += count[1]; three += count[2]; four += count[3];
        level += count[4]; upright += count[5];
    }
    const int64_t diagonal = two - level - upright;
    const double sy = p->row_mm, sx = p->column_mm;
    *area = ((double)one / 8 + (double)three * 7 / 8 + (double)four + (double)(level + upright) / 2 +
             (double)diagonal / 4) * sy * sx;
    *perimeter = (double)(one + three + 2 * diagonal) * 0.5 * hypot(sy, sx) + (double)level * sx + (double)upright * sy;
}

/* Whether the outline crosses half row y2 at column x: even y2, between columns x and x + 1 of a row; odd, between a row
 * and the next. */
static int crosses(const plan_t *p, const uint8_t *inside, int64_t y2, int64_t x) {
    const uint8_t *at = inside + y2 / 2 * p->stride + x;
    return at[0] != at[y2 % 2 ? p->stride : 1];
}

/* Leftmost and rightmost outline point of every half row, from top to bottom: all hull corners are among them. */
static int64_t row_ends(const plan_t *p, const uint8_t *inside, point_t *out) {
    int64_t n = 0;
    for (int64_t y2 = 2; y2 < 2 * (p->height + 2 * FRAME) - 2; y2++) {
        int64_t first = 1, last = p->stride - 2;
        while (first <= last && !crosses(p, inside, y2, first)) first++;
        while (last > first && !crosses(p, inside, y2, last)) last--;
        if (first > last) continue;
        const int64_t half = y2 % 2 ? 0 : 1;
        out[n++] = (point_t){y2, 2 * first + half};
        if (last > first) out[n++] = (point_t){y2, 2 * last + half};
    }
    return n;
}

static int64_t turn(point_t a, point_t b, point_t c) {
    return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

/* Convex hull (Andrew's monotone chain) of points sorted by row, then column; returns the number of corners. */
static int64_t hull(const point_t *p, int64_t n, point_t *out) {
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) {
        while (k >= 2 && turn(out[k - 2], out[k - 1], p[i]) <= 0) k--;
        out[k++] = p[i];
    }
    for (int64_t i = n - 2, base = k + 1; i >= 0; i--) {
        while (k >= base && turn(out[k - 2], out[k - 1], p[i]) <= 0) k--;
        out[k++] = p[i];
    }
    return n > 1 ? k - 1 : n;
}

static double diameter(const plan_t *p, const point_t *corner, int64_t n) {
    double best = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            const double dy = 0.5 * (double)(corner[i].y - corner[j].y) * p->row_mm;
            const double dx = 0.5 * (double)(corner[i].x - corner[j].x) * p->column_mm;
            const double d = dy * dy + dx * dx;
            if (d > best) best = d;
        }
    return sqrt(best);
}

/* Eigenvalues of the covariance of the pixels' positions. Sums are of whole numbers, hence exact: pixels on a line give
 * a determinant of exactly 0. */
static void axes(const plan_t *p, double *large, double *small) {
    double y1 = 0, x1 = 0, yy = 0, xx = 0, xy = 0;
    const double n = (double)p->n;
    for (int64_t s = 0; s < p->n_segments; s++) {
        const segment_t *g = p->segments + s;
        const double y = (double)(g->row - p->top - p->height / 2);
        for (int k = 0; k < g->length; k++) {
            const double x = (double)(g->column + k - p->left - p->width / 2);
            y1 += y; x1 += x;
            yy += y * y; xx += x * x; xy += x * y;
        }
    }
    const double a = n * yy - y1 * y1, b = n * xx - x1 * x1, c = n * xy - y1 * x1;
    const double sy = p->row_mm / n, sx = p->column_mm / n;
    const double half = (a * sy * sy + b * sx * sx) / 2, product = (a * b - c * c) * (sy * sy) * (sx * sx);
    const double root = sqrt(half * half > product ? half * half - product : 0);
    *large = half + root;
    *small = *large > 0 && product > 0 ? product / *large : 0;
}

int shape2d(const plan_t *p, double *out) {
    uint8_t *inside = draw(p);
    const int64_t ends = 4 * (p->height + 2 * FRAME);
    point_t *points = aligned_zeros(sizeof(point_t) * (size_t)(3 * ends + 4));
    if (!inside || !points) {
        free(inside);
        free(points);
        return NO_MEMORY;
    }
    double area, perimeter, large, small;
    outline(p, inside, &area, &perimeter);
    axes(p, &large, &small);
    const int64_t corners = hull(points, row_ends(p, inside, points), points + ends);
    out[0] = sqrt(small / large);                       /* Elongation */
    out[1] = 4 * sqrt(large);                           /* MajorAxisLength */
    out[2] = diameter(p, points + ends, corners);       /* MaximumDiameter */
    out[3] = area;                                      /* MeshSurface */
    out[4] = 4 * sqrt(small);                           /* MinorAxisLength */
    out[5] = perimeter;                                 /* Perimeter */
    out[6] = perimeter / area;                          /* PerimeterSurfaceRatio */
    out[7] = (double)p->n * p->row_mm * p->column_mm;   /* PixelSurface */
    out[8] = 2 * sqrt(PI * area) / perimeter;           /* Sphericity */
    free(inside);
    free(points);
    return DONE;
}
