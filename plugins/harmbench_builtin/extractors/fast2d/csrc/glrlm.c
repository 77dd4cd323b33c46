/* Grey level run length matrix: runs of equal levels along four directions; features are averaged over directions.
 *
 * Runs are not followed. With A_r(g) = pixels of level g that come exactly r-th after the start of their run
 * (r = 0: the start), the runs of length r + 1 or more are A_r, those of exactly r + 1 are A_r - A_(r+1). The pixels
 * with a predecessor are the GLCM's diagonal, so that only the third and later pixels of runs need a visit.
 */
#include "fast2d.h"
#include "lanes.h"

/* Fills w->longer[d][r][g] for r >= 2 and gives the largest r (at least 1). */
static void visit_long_runs(work_t *w, const plan_t *p, int *longest) {
    const int64_t row = w->level_stride;
    const int64_t back[DIRECTIONS] = {p->stride, 1, p->stride + 1, p->stride - 1}; /* order of the bits of w->twice */
    uint32_t *visited = w->run_visited;
    int64_t n_visited = 0;
    for (int d = 0; d < DIRECTIONS; d++) longest[d] = 1;
    for (int64_t i = 0; i < p->n; i += 64)
        for (uint64_t m = nonzero64(w->twice + i); m; m &= m - 1) {
            const int64_t k = i + __builtin_ctzll(m), q = p->position[k];
            const int level = w->level[k];
            for (unsigned bits = w->twice[k]; bits; bits &= bits - 1) {
                const int d = __builtin_ctz(bits);
                const int before = w->run[d][q - back[d]], r = before ? before + 1 : 2;
                w->run[d][q] = (uint16_t)r;
                visited[n_visited++] = (uint32_t)q << 2 | (uint32_t)d;
                if (r > longest[d]) { /* rows are cleared when first needed */
                    memset(w->longer[d] + r * row, 0, sizeof(int32_t) * (size_t)row);
                    longest[d] = r;
                }
                w->longer[d][r * row + level]++;
            }
        }
    for (int64_t k = 0; k < n_visited; k++) w->run[visited[k] & 3][visited[k] >> 2] = 0;
}

/* Runs by length in w->sizes[length][level], from the pixels by place in their run. */
static void runs_by_length(work_t *w, const int32_t *longer, int longest, const int32_t *pairs, int64_t cell_row,
                           int levels, const int32_t *histogram) {
    const int64_t row = w->level_stride;
    int32_t *first = w->sizes + row, *second = w->sizes + 2 * row; /* lengths 1 and 2 */
    memset(w->sizes, 0, sizeof(int32_t) * 3 * (size_t)row);
    for (int g = 1; g <= levels; g++) {
        second[g] = pairs[DIRECTIONS * (g * cell_row + g)];
        first[g] = histogram[g] - second[g];
    }
    for (int r = 2; r <= longest; r++)
        for (int64_t g = 0; g < row; g++) second[g] -= longer[r * row + g];
    for (int64_t g = 0; g < row; g++) first[g] -= second[g];
    if (longest > 1)
        for (int64_t g = 0; g < row; g++) second[g] -= longer[2 * row + g];
    for (int r = 2; r <= longest; r++) {
        int32_t *to = w->sizes + (r + 1) * row;
        const int32_t *from = longer + r * row;
        for (int64_t g = 0; g < row; g++) to[g] = from[g] - (r < longest ? from[row + g] : 0);
    }
}

static void glrlm_features(work_t *w, const plan_t *p, int levels, const int32_t *histogram, double *out) {
    static const int bit_of[DIRECTIONS] = {1, 0, 2, 3}; /* runs are found from the preceding end */
    int longest[DIRECTIONS], used = 0;
    double per_level[FAST_LEVELS + 10];
    for (int k = 0; k < 16; k++) out[k] = 0;
    visit_long_runs(w, p, longest);
    for (int d = 0; d < DIRECTIONS; d++) {
        if (!p->runs[d]) continue;
        used++;
        const int b = bit_of[d];
        runs_by_length(w, w->longer[b], longest[b], w->pairs + d, levels + 1, levels, histogram);
        size_features_t f = size_features(w, w->sizes, longest[b] + 1, NULL, 0, per_level);
        add_run_features(&f, (double)p->n, out);
    }
    for (int k = 0; k < 16; k++) out[k] /= used;
}
