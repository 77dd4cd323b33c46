/* Jensen-Shannon divergence of two groups for many replicates: the work, once for every instruction set.

   Many replicates are worked on side by side. In each, a row adds to one whole number: the high bits hold the balanced
   mass in fixed point, the low bits how many rows of the own manufacturer there are. The scale is a multiple of every
   manufacturer's row count (where that fits), so that masses are exact and one addition per row serves both. The numbers
   have 32 bits where that is enough for all replicates of a group, else 64: the scale is the same, and so are the figures,
   bit for bit.

   An edge is where the mass first reaches k/K. The walk to it starts from a place at which no replicate had reached it
   yet, and ends when all have: replicates differ little, so that a row is looked at once or twice in all. `rest` is the
   number minus the threshold: negative before the edge, and what it is when it first is not says where the edge was (mass)
   and how many own rows came before it. Where to start and how far to go is guessed from the features before, and then
   made sure of: looking after every chunk would take longer than the rows themselves.

   GNU vector extensions; the same operations in the same order on every instruction set. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "divergence.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VECTOR 64 /* bytes */
#elif defined(__AVX2__)
#define VECTOR 32
#else
#define VECTOR 16
#endif
#define WIDTH (VECTOR / 8)
#define LANES 32                                   /* replicates of a group */
#define ROW_BYTES (VECTOR < 32 ? 4 * VECTOR : 128) /* a row's in the tables: what fits the registers, and the cache */
#define PARTS (ROW_BYTES / VECTOR)
#define CHUNK DIVERGENCE_CHUNK
#define TOP 62    /* the numbers are at most 2^TOP, so that differences fit 64 bits */
#define NARROW 31 /* they are below 2^NARROW, and so are differences, where 32 bits serve */
#define MAX_ERROR 1e-12
#define NOTHING 1e-10  /* shares below are what rounding leaves of none */
#define ROUNDING 4e-15 /* a divergence below is 0: identical groups differ by rounding only */
#define GUESS_BITS 3
#define GUESS_UP 3 /* how far a guess goes back when it was wrong: what is spared creeps up by 1 */

#include "divergence_sums.h"

/* What the walk to the next edge is thought to take, in 2^-GUESS_BITS chunks. */
typedef struct {
    int32_t length; /* from its start to where all are past the edge, less one chunk */
    int32_t skip;   /* from its start to that of the next one */
} guess;

/* One contrast in a group of replicates. The tables hold 32-bit or 64-bit numbers. */
typedef struct {
    void *addend;    /* (rows + 1, ROW_BYTES): what a row adds; the last one is the padding */
    void *threshold; /* (bins - 1, ROW_BYTES): of edge k + 1 */
    void *at;        /* (bins + 1, ROW_BYTES): 0, the numbers at the edges, and those of all rows */
    void *seen;      /* (chunks + 1, ROW_BYTES): the rest after each chunk */
    uint32_t *order; /* (features, padded): rows, in ROW_BYTES / 8 */
    guess *guessed;  /* (bins) */
    int64_t *unit;   /* (manufacturers, LANES): what a row adds */
    int64_t *edge;   /* (bins - 1, LANES) */
    int64_t total[LANES];
    double own_unit[LANES]; /* mass of one own row in the balanced mixture */
    double nothing[LANES];  /* NOTHING as a mass */
    double per_mass[LANES]; /* 1 / scale */
    double whole[LANES];    /* share of all rows: 1, or nearly */
    double present[LANES];  /* 0 where both groups have rows, else NaN */
    int own_bits;
} lanes;

static int64_t common_multiple(int64_t a, int64_t b, int64_t limit) {
    int64_t x = a, y = b;
    while (y) {
        int64_t r = x % y;
        x = y;
        y = r;
    }
    return b / x > limit / a ? 0 : a * (b / x); /* 0: beyond the limit */
}

/* Manufacturer and count of row r in the lanes from `start` on; lanes beyond the last replicate repeat it. */
static inline void read_row(const divergence_task *t, int64_t r, int64_t start, int across, int32_t *code,
                            int32_t *count) {
    const int64_t B = t->replicates, width = B - start < across ? B - start : across;
    const int16_t *codes = t->fixed_codes ? NULL : t->codes + r * B + start;
    const int32_t *counts = t->counts ? t->counts + r * B + start : NULL;
    for (int i = 0; i < across; i++) {
        const int64_t at = i < width ? i : width - 1;
        code[i] = codes ? codes[at] : t->codes[r];
        count[i] = counts ? counts[at] : 1;
    }
}

/* Count the rows of every manufacturer in each lane, (manufacturers, LANES). */
static void count_rows(const divergence_task *t, int64_t start, int64_t *rows_of) {
    int32_t code[LANES], count[LANES];
    memset(rows_of, 0, (size_t)(t->manufacturers * LANES) * sizeof *rows_of);
    for (int64_t r = 0; r < t->rows; r++) {
        read_row(t, r, start, LANES, code, count);
        for (int i = 0; i < LANES; i++) rows_of[code[i] * LANES + i] += count[i];
    }
}

#define BITS 32
#include "divergence_walk.h"
#undef BITS
#define BITS 64
#include "divergence_walk.h"
#undef BITS

/* Choose the scale of contrast c in each lane, and what follows from it. 2: none will do; else `narrow` tells whether 32
   bits are enough. */
static int prepare(const divergence_task *t, int64_t c, const int64_t *rows_of, lanes *l, int *narrow) {
    const int64_t L = t->manufacturers, mine = t->own[c];
    const uint8_t *others = t->others + c * L;
    int64_t largest = 1, mixed = 0;
    for (int i = 0; i < LANES; i++)
        if (rows_of[mine * LANES + i] > largest) largest = rows_of[mine * LANES + i];
    for (int64_t m = 0; m < L; m++) mixed += others[m];
    l->own_bits = 64 - __builtin_clzll((unsigned long long)largest);
    const int64_t full = 1LL << (TOP - l->own_bits);
    *narrow = !t->wide;

    for (int i = 0; i < LANES; i++) {
        const int64_t of_own = rows_of[mine * LANES + i];
        int64_t multiple = 2 * of_own, sum = 0, weight = 0;
        int there = of_own > 0;
        for (int64_t m = 0; m < L; m++) {
            if (!others[m]) continue;
            if (!rows_of[m * LANES + i]) there = 0;
            else if (multiple) multiple = common_multiple(multiple, 2 * mixed * rows_of[m * LANES + i], full);
        }
        /* Not a multiple of it that fills the bits there are: either width then rounds the same numbers the same way. */
        const int64_t scale = multiple ? multiple : full;
        for (int64_t m = 0; m < L; m++) {
            const int64_t of = rows_of[m * LANES + i];
            const int64_t parts = !there ? 0 : m == mine ? 2 * of : others[m] ? 2 * mixed * of : 0;
            const int64_t one = parts ? (scale + parts / 2) / parts : 0;
            sum += one * of;
            weight += one ? of : 0;
            l->unit[m * LANES + i] = (one << l->own_bits) + (there && m == mine);
        }
        /* Where no scale suits all, each unit is off by half at most. */
        if (there && !multiple && 0.5 * (double)weight > MAX_ERROR * (double)scale) return 2;
        if (there && (!multiple || scale >= 1LL << (NARROW - l->own_bits))) *narrow = 0;
        for (int k = 1; k < t->bins; k++) {
            const double at = ceil(((double)k / t->bins - t->tolerance) * (double)scale);
            /* 0 where a group has no rows: every edge is passed at once, and the result is not used. */
            l->edge[(k - 1) * LANES + i] = there ? (int64_t)at * (1LL << l->own_bits) : 0;
        }
        l->total[i] = (sum << l->own_bits) + (there ? of_own : 0);
        l->own_unit[i] = there ? 0.5 * (double)scale / (double)of_own : 0.0;
        l->nothing[i] = NOTHING * (double)scale;
        l->per_mass[i] = 1.0 / (double)scale;
        l->whole[i] = (double)sum / (double)scale;
        l->present[i] = there ? 0.0 : NAN;
    }
    return 0;
}

static int run(divergence_task *t) {
    const size_t orders = (size_t)(t->features * t->padded), bins = (size_t)t->bins;
    const size_t table = (size_t)(t->manufacturers * LANES) * sizeof(int64_t), guesses = bins * sizeof(guess);
    lanes l;
    int64_t *rows_of = malloc(table);
    guess *guessed = calloc((size_t)t->contrasts, guesses);
    l.unit = malloc(table);
    l.edge = malloc(bins * LANES * sizeof *l.edge);
    l.order = malloc((orders + 1) * sizeof *l.order);
    l.addend = aligned_alloc(64, ((size_t)t->rows + 1) * ROW_BYTES);
    l.threshold = aligned_alloc(64, bins * ROW_BYTES);
    l.at = aligned_alloc(64, (bins + 1) * ROW_BYTES);
    l.seen = aligned_alloc(64, ((size_t)(t->padded / CHUNK) + 1) * ROW_BYTES);
    int status =
        rows_of && guessed && l.unit && l.edge && l.order && l.addend && l.threshold && l.at && l.seen ? 0 : 1;
    for (size_t i = 0; i < orders && !status; i++) l.order[i] = (uint32_t)t->order[i] * (ROW_BYTES / 8);
    for (int64_t start = 0; start < t->replicates && !status; start += LANES) {
        count_rows(t, start, rows_of);
        for (int64_t c = 0; c < t->contrasts; c++) {
            int narrow;
            if (t->share[c] == 0.0) continue;
            if ((status = prepare(t, c, rows_of, &l, &narrow))) break;
            l.guessed = guessed + c * t->bins;
            const int lanes_left = t->replicates - start < LANES ? (int)(t->replicates - start) : LANES;
            for (int lane = 0; lane < lanes_left; lane += ROW_BYTES / (narrow ? 4 : 8))
                (narrow ? walk_32 : walk_64)(t, &l, c, start, lane);
            t->narrow += narrow;
        }
    }
    free(rows_of);
    free(guessed);
    free(l.unit);
    free(l.edge);
    free(l.order);
    free(l.addend);
    free(l.threshold);
    free(l.at);
    free(l.seen);
    return status;
}
