/* Grey level run length matrix: runs of equal levels along four directions; features are averaged over directions.
 *
 * Only runs of 3 pixels or more are looked for, each from its last pixel. The GLCM's diagonal counts the pixels with an
 * equal predecessor, length - 1 in each run, which leaves the runs of 2; the histogram then leaves those of 1.
 */
#include "fast2d.h"
#include "lanes.h"

/* Indices of the pixels with a bit set in `flags`. Eight at a time are written whether or not they are there, so that
 * the processor need not guess how many there are. */
static int64_t flagged(const uint8_t *flags, int64_t n, uint32_t *list) {
    int64_t found = 0;
    for (int64_t i = 0; i < n; i += 64) {
        uint64_t m = nonzero64(flags + i);
        const int64_t count = __builtin_popcountll(m);
        for (int64_t k = 0; k < count; k += 8)
            for (int64_t j = k; j < k + 8; j++) {
                list[found + j] = (uint32_t)(i + (m ? __builtin_ctzll(m) : 0));
                m &= m - 1;
            }
        found += count;
    }
    return found;
}

/* Fills w->runs[direction][length][level] for lengths from 3 and gives the largest length (at least 2). */
APART static void find_long_runs(work_t *w, const plan_t *p, int *longest) {
    static const int direction[DIRECTIONS] = {1, 0, 2, 3}; /* of the bits north, west, north-west, north-east */
    const int64_t row = w->level_stride, back[DIRECTIONS] = {p->stride, 1, p->stride + 1, p->stride - 1};
    const uint8_t *restrict run_end = w->run_end;
    const uint32_t *restrict list = w->list;
    const int32_t *restrict position = p->position;
    const int64_t n = flagged(run_end, p->n, w->list);
    for (int d = 0; d < DIRECTIONS; d++) longest[d] = 2;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *last = w->box + position[list[i]], level = *last;
        unsigned bits = run_end[list[i]];
        do {
            const int b = __builtin_ctz(bits), d = direction[b];
            int32_t *restrict runs = w->runs[d];
            int length = 3;
            while (last[-length * back[b]] == level) length++;
            while (longest[d] < length) /* rows are cleared when first needed */
                memset(runs + ++longest[d] * row, 0, sizeof(int32_t) * (size_t)row);
            runs[length * row + level]++;
            bits &= bits - 1;
        } while (bits);
    }
}

/* Runs of 1 and 2 pixels, from the pixels of each level and the GLCM's diagonal (`pairs`: its first cell). */
APART static void fill_short_runs(int32_t *runs, int longest, int64_t row, const int32_t *pairs, int64_t cell_row, int levels,
                            const int32_t *histogram) {
    int32_t *one = runs + row, *two = runs + 2 * row;
    memset(one, 0, sizeof(int32_t) * 2 * (size_t)row);
    for (int g = 1; g <= levels; g++) two[g] = pairs[DIRECTIONS * (g * cell_row + g)];
    for (int length = 3; length <= longest; length++)
        for (int64_t g = 0; g < row; g++) {
            two[g] -= (length - 1) * runs[length * row + g];
            one[g] -= length * runs[length * row + g];
        }
    for (int g = 1; g <= levels; g++) one[g] += histogram[g] - 2 * two[g];
}

static void glrlm_features(work_t *w, const plan_t *p, int levels, const int32_t *histogram, double *out) {
    int longest[DIRECTIONS], used = 0;
    double per_level[FAST_LEVELS + 10];
    for (int k = 0; k < 16; k++) out[k] = 0;
    find_long_runs(w, p, longest);
    for (int d = 0; d < DIRECTIONS; d++) {
        if (!p->runs[d]) continue;
        used++;
        fill_short_runs(w->runs[d], longest[d], w->level_stride, w->pairs + d, levels + 1, levels, histogram);
        size_features_t f = size_features(w, w->runs[d], longest[d], NULL, 0, per_level);
        add_run_features(&f, (double)p->n, out);
    }
    for (int k = 0; k < 16; k++) out[k] /= used;
}
