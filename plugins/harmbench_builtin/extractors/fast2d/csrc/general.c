#include "fast2d.h"
int general_features(const plan_t *p, const settings_t *s, const grid_t *g, const double *values, double *out) {
    (void)p; (void)s; (void)g; (void)values; (void)out;
    return NO_MEMORY;
}
