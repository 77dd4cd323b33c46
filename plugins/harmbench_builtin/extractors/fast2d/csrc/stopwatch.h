/* Where the time of a map goes: build with -DFAST2D_STOPWATCH and every 4096 maps print the mean of each step. */
#ifdef FAST2D_STOPWATCH
#include <stdio.h>
#include <time.h>
static double stopwatch_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}
#define START double stopwatch_t = stopwatch_now()
#define LAP(name) \
    do { \
        static double sum; \
        static int64_t n; \
        double t = stopwatch_now(); \
        sum += t - stopwatch_t; \
        if (++n % 4096 == 0) { fprintf(stderr, "%-12s %7.2f us\n", name, sum / 4096); sum = 0; } \
        stopwatch_t = stopwatch_now(); \
    } while (0)
#else
#define START
#define LAP(name)
#endif
