/* Grey level dependence matrix: pixels by level and dependence size = 1 + neighbours (of 8) of the same level. */
#include "fast2d.h"

static void gldm_features(const work_t *w, double *out) {
    double per_level[FAST_LEVELS + 10];
    /* w->dependence begins with the dependence of a pixel alone, which is size 1 */
    size_features_t f = size_features(w, w->dependence - w->level_stride, 9, NULL, 0, per_level);
    dependence_features(&f, out);
}
