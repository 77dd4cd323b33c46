/* Exact percentiles 10, 25, 50, 75, 90 (numpy's linear interpolation) without sorting: a fine histogram tells which
 * bins hold the wanted ranks; only their values are looked at. */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

enum { QUANTILES = 5, RANKS = 2 * QUANTILES, GROUP = 32 };

/* k-th smallest of a[low..high] by quickselect; short stretches are sorted. */
APART static double kth(double *a, int64_t low, int64_t high, int64_t k) {
    while (high - low > 12) {
        int64_t i = low, j = high;
        double x = a[low], y = a[(low + high) / 2], z = a[high];
        double pivot = x < y ? (y < z ? y : (x < z ? z : x)) : (x < z ? x : (y < z ? z : y));
        while (i <= j) {
            while (a[i] < pivot) i++;
            while (a[j] > pivot) j--;
            if (i <= j) { double t = a[i]; a[i++] = a[j]; a[j--] = t; }
        }
        if (k <= j) high = j;
        else if (k >= i) low = i;
        else return a[k];
    }
    for (int64_t i = low + 1; i <= high; i++) {
        double t = a[i];
        int64_t j = i - 1;
        for (; j >= low && a[j] > t; j--) a[j + 1] = a[j];
        a[j + 1] = t;
    }
    return a[k];
}

typedef struct {
    int bin;
    int64_t before, start, filled; /* values in lower bins; where this bin's values begin in `chosen`; and end */
} bin_t;

/* Marks in w->hit the values of at most RANKS bins. */
static void mark(work_t *w, int64_t n, const bin_t *bins, int count) {
    typedef uint16_t group_t __attribute__((vector_size(NATIVE)));
    typedef uint8_t marks_t __attribute__((vector_size(NATIVE / 2)));
    for (int64_t i = 0; i < n; i += NATIVE / 2) {
        group_t f, hit = {0};
        memcpy(&f, w->fine + i, sizeof f);
        for (int b = 0; b < count; b++) hit |= (group_t)(f == (uint16_t)bins[b].bin);
        const marks_t marks = __builtin_convertvector(hit & 1, marks_t);
        memcpy(w->hit + i, &marks, sizeof marks);
    }
    memset(w->hit + n, 0, SLACK);
}

APART static void percentiles(work_t *w, int64_t n, int levels, double *out) {
    static const double quantile[QUANTILES] = {0.10, 0.25, 0.50, 0.75, 0.90};
    const int used = levels << fine_shift(levels);
    int32_t *count = w->fine_count;
    memset(count, 0, sizeof(int32_t) * (size_t)(used + GROUP));
    const uint16_t *fine = w->fine;
#pragma GCC unroll 4
    for (int64_t i = 0; i < n; i++) count[fine[i]]++;

    int64_t rank[RANKS];
    for (int q = 0; q < QUANTILES; q++) {
        rank[2 * q] = (int64_t)floor(quantile[q] * (double)(n - 1));
        rank[2 * q + 1] = rank[2 * q] + 1 < n ? rank[2 * q] + 1 : n - 1;
    }
    int order[RANKS]; /* with few values the ranks of two quantiles may cross */
    for (int a = 0; a < RANKS; a++) {
        int b = a;
        for (; b > 0 && rank[order[b - 1]] > rank[a]; b--) order[b] = order[b - 1];
        order[b] = a;
    }
    bin_t bins[RANKS];
    int of_rank[RANKS], n_bins = 0;
    int64_t below = 0, chosen = 0;
    for (int b = 0, r = 0; r < RANKS; b++) {
        for (; !(b % GROUP); b += GROUP) { /* leap over groups of bins that hold no wanted rank */
            int64_t in_group = 0;
            for (int k = 0; k < GROUP; k++) in_group += count[b + k];
            if (rank[order[r]] < below + in_group) break;
            below += in_group;
        }
        int64_t up = below + count[b];
        if (rank[order[r]] < up) {
            bins[n_bins] = (bin_t){b, below, chosen, chosen};
            chosen += count[b];
            for (; r < RANKS && rank[order[r]] < up; r++) of_rank[order[r]] = n_bins;
            n_bins++;
        }
        below = up;
    }
    mark(w, n, bins, n_bins);
    for (int64_t i = 0; i < n; i += 64)
        for (uint64_t m = nonzero64(w->hit + i); m; m &= m - 1) {
            int64_t k = i + __builtin_ctzll(m);
            int b = 0;
            while (bins[b].bin != w->fine[k]) b++;
            w->chosen[bins[b].filled++] = w->values[k];
        }
    for (int q = 0; q < QUANTILES; q++) {
        double x[2];
        for (int z = 0; z < 2; z++) {
            const bin_t *b = bins + of_rank[2 * q + z];
            x[z] = kth(w->chosen, b->start, b->filled - 1, b->start + rank[2 * q + z] - b->before);
        }
        /* numpy interpolates from the nearer of the two values. */
        double at = quantile[q] * (double)(n - 1), g = at - floor(at), d = x[1] - x[0];
        out[q] = g >= 0.5 ? x[1] - d * (1.0 - g) : x[0] + d * g;
    }
}
