/* Radix sort of whole numbers, one byte at a time. */
#include <string.h>

#include "general.h"

void sort_keys(uint64_t *keys, uint64_t *spare, int64_t n, uint64_t limit) {
    uint64_t *from = keys, *to = spare;
    for (int shift = 0; shift < 64 && (limit >> shift) != 0; shift += 8) {
        int64_t start[257] = {0};
        for (int64_t i = 0; i < n; i++) start[(from[i] >> shift & 255) + 1]++;
        for (int b = 0; b < 256; b++) start[b + 1] += start[b];
        for (int64_t i = 0; i < n; i++) to[start[from[i] >> shift & 255]++] = from[i];
        uint64_t *t = from;
        from = to;
        to = t;
    }
    if (from != keys) memcpy(keys, from, sizeof *keys * (size_t)n);
}
