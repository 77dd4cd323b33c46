/* PyRadiomics' names of the sums in sizematrix.c, in the order of the columns. */
#include "fast2d.h"

/* GLRLM, added up over directions; n: pixels in the region. */
static void add_run_features(const size_features_t *f, double n, double *out) {
    out[0] += f->level_uneven;              /* GrayLevelNonUniformity */
    out[1] += f->level_uneven_n;            /* GrayLevelNonUniformityNormalized */
    out[2] += f->level_variance;            /* GrayLevelVariance */
    out[3] += f->high;                      /* HighGrayLevelRunEmphasis */
    out[4] += f->large;                     /* LongRunEmphasis */
    out[5] += f->large_high;                /* LongRunHighGrayLevelEmphasis */
    out[6] += f->large_low;                 /* LongRunLowGrayLevelEmphasis */
    out[7] += f->low;                       /* LowGrayLevelRunEmphasis */
    out[8] += f->entropy;                   /* RunEntropy */
    out[9] += f->size_uneven;               /* RunLengthNonUniformity */
    out[10] += f->size_uneven_n;            /* RunLengthNonUniformityNormalized */
    out[11] += f->count / n;     /* RunPercentage: runs / pixels */
    out[12] += f->size_variance;            /* RunVariance */
    out[13] += f->small;                    /* ShortRunEmphasis */
    out[14] += f->small_high;               /* ShortRunHighGrayLevelEmphasis */
    out[15] += f->small_low;                /* ShortRunLowGrayLevelEmphasis */
}

/* GLSZM */
static void zone_features(const size_features_t *f, double n, double *out) {
    out[0] = f->level_uneven;                   /* GrayLevelNonUniformity */
    out[1] = f->level_uneven_n;                 /* GrayLevelNonUniformityNormalized */
    out[2] = f->level_variance;                 /* GrayLevelVariance */
    out[3] = f->high;                           /* HighGrayLevelZoneEmphasis */
    out[4] = f->large;                          /* LargeAreaEmphasis */
    out[5] = f->large_high;                     /* LargeAreaHighGrayLevelEmphasis */
    out[6] = f->large_low;                      /* LargeAreaLowGrayLevelEmphasis */
    out[7] = f->low;                            /* LowGrayLevelZoneEmphasis */
    out[8] = f->size_uneven;                    /* SizeZoneNonUniformity */
    out[9] = f->size_uneven_n;                  /* SizeZoneNonUniformityNormalized */
    out[10] = f->small;                         /* SmallAreaEmphasis */
    out[11] = f->small_high;                    /* SmallAreaHighGrayLevelEmphasis */
    out[12] = f->small_low;                     /* SmallAreaLowGrayLevelEmphasis */
    out[13] = f->entropy;                       /* ZoneEntropy */
    out[14] = f->count / n;          /* ZonePercentage: zones / pixels */
    out[15] = f->size_variance;                 /* ZoneVariance */
}

/* GLDM; a dependence's size is 1 + the neighbours of the same level */
static void dependence_features(const size_features_t *f, double *out) {
    out[0] = f->entropy;                        /* DependenceEntropy */
    out[1] = f->size_uneven;                    /* DependenceNonUniformity */
    out[2] = f->size_uneven_n;                  /* DependenceNonUniformityNormalized */
    out[3] = f->size_variance;                  /* DependenceVariance */
    out[4] = f->level_uneven;                   /* GrayLevelNonUniformity */
    out[5] = f->level_variance;                 /* GrayLevelVariance */
    out[6] = f->high;                           /* HighGrayLevelEmphasis */
    out[7] = f->large;                          /* LargeDependenceEmphasis */
    out[8] = f->large_high;                     /* LargeDependenceHighGrayLevelEmphasis */
    out[9] = f->large_low;                      /* LargeDependenceLowGrayLevelEmphasis */
    out[10] = f->low;                           /* LowGrayLevelEmphasis */
    out[11] = f->small;                         /* SmallDependenceEmphasis */
    out[12] = f->small_high;                    /* SmallDependenceHighGrayLevelEmphasis */
    out[13] = f->small_low;                     /* SmallDependenceLowGrayLevelEmphasis */
}
