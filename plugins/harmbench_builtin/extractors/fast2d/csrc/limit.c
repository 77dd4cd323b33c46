/* The floor of the fast path: bare counter increments at ready-made indices. For the benchmark only. */
#include "fast2d.h"

enum { CELLS = 1 << 16 };

uint32_t bare_increments(const uint16_t *index, int64_t n, int64_t repeats) {
    uint32_t counter[CELLS] = {0};
    for (int64_t r = 0; r < repeats; r++)
        for (int64_t i = 0; i < n; i++) counter[index[i]]++;
    return counter[index[0]];
}
