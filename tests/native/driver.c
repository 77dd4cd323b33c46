/* A small run of the engine without Python, for valgrind: several masks and settings, all parts of the code. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fast2d.h"

enum { ROWS = 23, COLUMNS = 37 };

static double noise(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 11) / 9007199254740992.0;
}

static int inside(int kind, int y, int x) {
    const double r = hypot(y - 11.0, x - 18.0);
    switch (kind) {
    case 0: return r < 11 && r > 4;
    case 1: return y == x;
    case 2: return y == 5 && x == 36;
    case 3: return 1;
    default: return (y * 7 + x * 3) % 5 < 2;
    }
}

static int run(const engine_t *engine, work_t *w, const plan_t *p, settings_t s, const double *map, double *out) {
    if (work_fit(w, p)) return NO_MEMORY;
    engine->gather(w, p, map);
    return engine->features(w, p, &s, out);
}

int main(void) {
    const int32_t near[] = {1}, far[] = {1, 3};
    const settings_t settings[] = {{32, 0, 1, 1, near}, {254, 0, 1, 1, near}, {0, 0.05, 1, 1, near},
                                   {500, 0, 1, 1, near}, {16, 0, 0, 1, near}, {16, 0, 1, 2, far}};
    const engine_t *engines[] = {&engine_baseline,
#ifdef FAST2D_X86
                                 __builtin_cpu_supports("avx2") ? &engine_avx2 : &engine_baseline
#endif
    };
    /* exactly as large as it must be, so that reading past the end is found */
    double *map = malloc(sizeof(double) * ROWS * COLUMNS), *padded = malloc(sizeof(double) * ((ROWS + 3) * (COLUMNS + 2) + SLACK));
    double kernel[12], out[N_FEATURES], shape[N_SHAPE], sum = 0;
    uint8_t *mask = malloc(ROWS * COLUMNS);
    uint64_t seed = 1;
    work_t *w = work_new();
    int failed = !w || !map || !padded || !mask;
    for (int i = 0; !failed && i < ROWS * COLUMNS; i++) map[i] = floor(8 * noise(&seed)) + (i % 3 ? 0 : noise(&seed));
    for (int i = 0; !failed && i < (ROWS + 3) * (COLUMNS + 2) + SLACK; i++) padded[i] = noise(&seed);
    for (int i = 0; i < 12; i++) kernel[i] = noise(&seed) - 0.5;
    for (int kind = 0; kind < 5 && !failed; kind++) {
        for (int i = 0; i < ROWS * COLUMNS; i++) mask[i] = (uint8_t)inside(kind, i / COLUMNS, i % COLUMNS);
        plan_t *p = plan_new(mask, ROWS, COLUMNS, 0.5, 0.7);
        if (!p || shape2d(p, shape)) return 2;
        for (size_t e = 0; e < sizeof engines / sizeof *engines; e++) {
            for (size_t s = 0; s < sizeof settings / sizeof *settings; s++) {
                failed |= run(engines[e], w, p, settings[s], map, out) == NO_MEMORY;
                for (int f = 0; f < N_FEATURES; f++) sum += isfinite(out[f]) ? out[f] : 0; /* values are looked at */
            }
            engines[e]->filter(w, p, padded, COLUMNS + 2, kernel, 4, 3, 0.25);
            failed |= engines[e]->features(w, p, settings, out) != DONE;
            for (int f = 0; f < N_FEATURES; f++) sum += isfinite(out[f]) ? out[f] : 0;
        }
        plan_free(p);
    }
    work_free(w);
    free(map);
    free(padded);
    free(mask);
    printf("%s %g\n", failed ? "failed" : "done", sum);
    return failed;
}
