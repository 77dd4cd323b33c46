/* What GLRLM, GLSZM and GLDM have in common: sums over a matrix M(g, s) of counts, g a grey level, s a size (run length,
 * zone area, dependence + 1), N = sum M. Rows of `dense` hold the levels of one size; larger sizes come as a list. */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

typedef struct {
    double count;                                /* N */
    double entropy;                              /* -sum M/N log2 M/N */
    double level_uneven, level_uneven_n;         /* sum_g (sum_s M)^2 / N, / N^2 */
    double level_variance;                       /* sum M/N (g - mean g)^2 */
    double size_uneven, size_uneven_n;           /* sum_s (sum_g M)^2 / N, / N^2 */
    double size_variance;                        /* sum M/N (s - mean s)^2 */
    double low, high;                            /* sum M / g^2 / N, sum M g^2 / N */
    double small, large;                         /* sum M / s^2 / N, sum M s^2 / N */
    double small_low, small_high, large_low, large_high;
} size_features_t;

/* One cell of the list, which is sorted by size; no cell comes twice. */
typedef struct {
    int64_t size;
    int32_t level, count;
} cell_t;

static inline v4 load_counts(const int32_t *p) { return to_double4(loadi4(p)); }

/* dense[s * row + g], s = 1..sizes, g = 0..row-1 with nothing at 0 and beyond the levels; per_level: scratch [row]. */
APART static size_features_t size_features(const work_t *w, const int32_t *dense, int sizes, const cell_t *list,
                                     int64_t n_list, double *per_level) {
    const int64_t row = w->level_stride;
    size_features_t f = {0};
    double cells = 0, mean_size = 0, mean_level = 0;
    for (int64_t g = 0; g < row; g++) per_level[g] = 0;
    for (int s = 1; s <= sizes; s++) {
        const int32_t *m = dense + s * row;
        v4 total = all4(0), low = total, high = total;
        for (int64_t g = 0; g < row; g += 4) {
            v4 c = load_counts(m + g);
            total += c;
            low += c * load4(w->inverse_square + g);
            high += c * load4(w->square + g);
            store4(per_level + g, load4(per_level + g) + c);
        }
        double count = sum4(total), lows = sum4(low), highs = sum4(high);
        w->size_total[s] = count;
        if (count == 0) continue;
        double a = 0, b = 0;
        for (int64_t g = 0; g < row; g += 2) { a += w->k_log_k[m[g]]; b += w->k_log_k[m[g + 1]]; }
        double s2 = (double)s * s, over = 1.0 / s2;
        cells += a + b;
        f.count += count; mean_size += count * s; f.size_uneven += count * count;
        f.small += count * over; f.large += count * s2;
        f.small_low += lows * over; f.small_high += highs * over;
        f.large_low += lows * s2; f.large_high += highs * s2;
    }
    for (int64_t k = 0; k < n_list;) { /* one size after the other */
        double count = 0, s = (double)list[k].size, s2 = s * s, over = 1.0 / s2;
        for (; k < n_list && (double)list[k].size == s; k++) {
            double c = list[k].count, low = c * w->inverse_square[list[k].level], high = c * w->square[list[k].level];
            count += c;
            cells += w->k_log_k[list[k].count];
            per_level[list[k].level] += c;
            f.small_low += low * over; f.small_high += high * over;
            f.large_low += low * s2; f.large_high += high * s2;
        }
        f.count += count; mean_size += count * s; f.size_uneven += count * count;
        f.small += count * over; f.large += count * s2;
    }
    v4 uneven = all4(0), low = uneven, high = uneven, first = uneven, variance = uneven;
    v4 level = {0, 1, 2, 3};
    for (int64_t g = 0; g < row; g += 4, level += 4.0) {
        v4 c = load4(per_level + g);
        uneven += c * c;
        first += c * level;
        low += c * load4(w->inverse_square + g);
        high += c * load4(w->square + g);
    }
    const double over = 1.0 / f.count;
    mean_size /= f.count;
    mean_level = sum4(first) / f.count;
    level = (v4){0, 1, 2, 3} - mean_level;
    for (int64_t g = 0; g < row; g += 4, level += 4.0) variance += load4(per_level + g) * level * level;
    f.entropy = log2(f.count) - cells * over;
    f.level_uneven = sum4(uneven) * over; f.level_uneven_n = f.level_uneven * over;
    f.level_variance = sum4(variance) * over;
    f.low = sum4(low) * over; f.high = sum4(high) * over;
    f.size_uneven *= over; f.size_uneven_n = f.size_uneven * over;
    f.small *= over; f.large *= over;
    for (int s = 1; s <= sizes; s++) f.size_variance += w->size_total[s] * (s - mean_size) * (s - mean_size);
    for (int64_t k = 0; k < n_list; k++) {
        const double from_mean = (double)list[k].size - mean_size;
        f.size_variance += list[k].count * from_mean * from_mean;
    }
    f.size_variance *= over;
    f.small_low *= over; f.small_high *= over; f.large_low *= over; f.large_high *= over;
    return f;
}
