/* Grey level dependence matrix: pixels by level and dependence size = 1 + neighbours (of 8) of the same level. */
#include "fast2d.h"

static void gldm_features(const work_t *w, double *out) {
    double per_level[FAST_LEVELS + 10];
    /* w->dependence begins with the dependence of a pixel alone, which is size 1 */
    size_features_t f = size_features(w, w->dependence - w->level_stride, 9, NULL, 0, per_level);
    out[0] = f.entropy;                        /* DependenceEntropy */
    out[1] = f.size_uneven;                    /* DependenceNonUniformity */
    out[2] = f.size_uneven_n;                  /* DependenceNonUniformityNormalized */
    out[3] = f.size_variance;                  /* DependenceVariance */
    out[4] = f.level_uneven;                   /* GrayLevelNonUniformity */
    out[5] = f.level_variance;                 /* GrayLevelVariance */
    out[6] = f.high;                           /* HighGrayLevelEmphasis */
    out[7] = f.large;                          /* LargeDependenceEmphasis */
    out[8] = f.large_high;                     /* LargeDependenceHighGrayLevelEmphasis */
    out[9] = f.large_low;                      /* LargeDependenceLowGrayLevelEmphasis */
    out[10] = f.low;                           /* LowGrayLevelEmphasis */
    out[11] = f.small;                         /* SmallDependenceEmphasis */
    out[12] = f.small_high;                    /* SmallDependenceHighGrayLevelEmphasis */
    out[13] = f.small_low;                     /* SmallDependenceLowGrayLevelEmphasis */
}
