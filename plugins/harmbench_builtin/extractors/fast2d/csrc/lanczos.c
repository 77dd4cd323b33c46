/* MCC of a sparse GLCM: the second singular value of M(i,j) = P(i,j) / sqrt(px(i) py(j)), whose first singular triple
 * is (1, sqrt px, sqrt py).
 *
 * Where levels fall into groups that never meet, there are several singular values of 1 and MCC is 1. Otherwise
 * Lanczos' iteration on M M' with the first vector projected out: memory grows with the levels, not their square.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "general.h"

static int64_t find(int64_t *parent, int64_t a) {
    while (parent[a] != a) a = parent[a] = parent[parent[a]];
    return a;
}

/* Whether rows and columns with counts form more than one connected group. */
static int is_split(const entry_t *cells, int64_t n, int64_t levels, int64_t *parent) {
    for (int64_t k = 0; k < 2 * levels; k++) parent[k] = k;
    for (int64_t c = 0; c < n; c++) {
        const int64_t a = find(parent, cells[c].row), b = find(parent, levels + cells[c].column);
        if (a != b) parent[a > b ? a : b] = a > b ? b : a;
    }
    const int64_t first = find(parent, cells[0].row);
    for (int64_t c = 1; c < n; c++)
        if (find(parent, cells[c].row) != first) return 1;
    return 0;
}

static double dot(const double *a, const double *b, int64_t n) {
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += a[i] * b[i];
    return s;
}

/* a += f b */
static void add(double *a, double f, const double *b, int64_t n) {
    for (int64_t i = 0; i < n; i++) a[i] += f * b[i];
}

/* Largest eigenvalue of a tridiagonal matrix with eigenvalues in [0, 1], by bisection on Sturm's count. */
static double largest(const double *diagonal, const double *off, int64_t n) {
    double low = 0, high = 1 + 1e-12;
    for (int k = 0; k < 60 && high - low > 1e-16 * high; k++) {
        const double x = 0.5 * (low + high);
        double d = diagonal[0] - x;
        int above = d > 0;
        for (int64_t i = 1; i < n && !above; i++) {
            if (fabs(d) < 1e-300) d = -1e-300;
            d = diagonal[i] - x - off[i - 1] * off[i - 1] / d;
            above = d > 0;
        }
        if (above) low = x;
        else high = x;
    }
    return 0.5 * (low + high);
}

int sparse_mcc(const entry_t *cells, int64_t n, int64_t levels, const double *rows, const double *columns, double *mcc) {
    const int64_t most = 8 * levels + 64;
    double *memory = malloc(sizeof(double) * (size_t)(5 * levels + n + 2 * most));
    int64_t *parent = malloc(sizeof(int64_t) * (size_t)(2 * levels));
    if (!memory || !parent) {
        free(memory);
        free(parent);
        return NO_MEMORY;
    }
    double *first = memory, *x = first + levels, *before = x + levels, *next = before + levels, *y = next + levels;
    double *weight = y + levels, *diagonal = weight + n, *off = diagonal + most;
    int64_t used_rows = 0, used_columns = 0;
    double total = 0;
    for (int64_t k = 0; k < levels; k++) {
        used_rows += rows[k] > 0;
        used_columns += columns[k] > 0;
        total += rows[k];
    }
    *mcc = 0; /* of a matrix with one row or column, which has no second singular value */
    if (used_rows < 2 || used_columns < 2) goto end;
    *mcc = 1;
    if (is_split(cells, n, levels, parent)) goto end;
    for (int64_t c = 0; c < n; c++) weight[c] = cells[c].count / sqrt(rows[cells[c].row] * columns[cells[c].column]);
    uint64_t seed = 0x9E3779B97F4A7C15u; /* any start that no eigenvector is orthogonal to */
    for (int64_t i = 0; i < levels; i++) {
        first[i] = sqrt(rows[i] / total);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        x[i] = rows[i] > 0 ? (double)(seed >> 11) / 9007199254740992.0 - 0.5 : 0;
        before[i] = 0;
    }
    double theta = 0;
    for (int twice = 0; twice < 2; twice++) { /* what rounding leaves of the first vector would grow */
        add(x, -dot(x, first, levels), first, levels);
        const double length = sqrt(dot(x, x, levels));
        for (int64_t i = 0; i < levels; i++) x[i] /= length;
    }
    for (int64_t k = 0, check = 8; k < most; k++) {
        memset(y, 0, sizeof(double) * (size_t)levels);
        memset(next, 0, sizeof(double) * (size_t)levels);
        for (int64_t c = 0; c < n; c++) y[cells[c].column] += weight[c] * x[cells[c].row];
        for (int64_t c = 0; c < n; c++) next[cells[c].row] += weight[c] * y[cells[c].column];
        if (k) add(next, -off[k - 1], before, levels);
        diagonal[k] = dot(next, x, levels);
        add(next, -diagonal[k], x, levels);
        add(next, -dot(next, first, levels), first, levels);
        off[k] = sqrt(dot(next, next, levels));
        const int closed = off[k] < 1e-14; /* all that the start vector reaches has been found */
        if (closed || k + 1 == check || k + 1 == most) {
            const double found = largest(diagonal, off, k + 1);
            const int settled = fabs(found - theta) <= 1e-13;
            theta = found;
            if (closed || settled) break;
            check += check / 4 + 4;
        }
        for (int64_t i = 0; i < levels; i++) {
            before[i] = x[i];
            x[i] = next[i] / off[k];
        }
    }
    *mcc = sqrt(theta);
end:
    free(memory);
    free(parent);
    return DONE;
}
