/* Maximal correlation coefficient: the square root of the second largest eigenvalue of
 * Q(i,j) = sum_k P(i,k) P(j,k) / (p_x(i) p_y(k)).
 *
 * For a symmetrical P, Q is similar to the square of B = D^-1/2 P D^-1/2, whose largest eigenpair is (1, sqrt p_x).
 * With that pair taken away, MCC is the largest |eigenvalue|. Four directions are solved side by side, one per lane:
 * Householder's reduction to a tridiagonal matrix, then Laguerre's iteration from outside at both ends.
 */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

/* q = A u for the leading k x k block of a symmetric A of which the lower triangle is stored. Two rows at a time, so
 * that u and q are loaded half as often. */
static void multiply(const v4 *a, int n, int k, const v4 *u, v4 *restrict q) {
    for (int j = 0; j < k; j++) q[j] = all4(0);
    int i = 0;
    for (; i + 1 < k; i += 2) {
        const v4 *r0 = a + (int64_t)i * n, *r1 = r0 + n;
        const v4 u0 = u[i], u1 = u[i + 1];
        v4 t0 = r0[i] * u0, t1 = r1[i + 1] * u1 + r1[i] * u0;
        t0 += r1[i] * u1;
        for (int j = 0; j < i; j++) {
            const v4 uj = u[j], x = r0[j], y = r1[j];
            t0 += x * uj;
            t1 += y * uj;
            q[j] += x * u0 + y * u1;
        }
        q[i] += t0;
        q[i + 1] += t1;
    }
    if (i < k) {
        const v4 *r = a + (int64_t)i * n;
        v4 t = r[i] * u[i];
        for (int j = 0; j < i; j++) {
            t += r[j] * u[j];
            q[j] += r[j] * u[i];
        }
        q[i] += t;
    }
}

/* A -= u q' + q u' on the same block. */
static void update(v4 *a, int n, int k, const v4 *u, const v4 *q) {
    int i = 0;
    for (; i + 1 < k; i += 2) {
        v4 *restrict r0 = a + (int64_t)i * n, *restrict r1 = r0 + n;
        const v4 u0 = u[i], q0 = q[i], u1 = u[i + 1], q1 = q[i + 1];
        for (int j = 0; j <= i; j++) {
            const v4 uj = u[j], qj = q[j];
            r0[j] -= u0 * qj + q0 * uj;
            r1[j] -= u1 * qj + q1 * uj;
        }
        r1[i + 1] -= 2.0 * (u1 * q1);
    }
    if (i < k)
        for (int j = 0; j <= i; j++) a[(int64_t)i * n + j] -= u[i] * q[j] + q[i] * u[j];
}

/* Diagonal d and squared off-diagonal e2 (e2[i] joins i - 1 and i). Rows are reduced from the last upwards. */
static void tridiagonal(v4 *a, int n, v4 *d, v4 *e2) {
    v4 u[FAST_LEVELS], q[FAST_LEVELS];
    const v4 zero = all4(0), one = all4(1);
    for (int k = n - 1; k >= 1; k--) {
        const v4 *row = a + (int64_t)k * n;
        d[k] = row[k];
        const v4 x = row[k - 1];
        if (k == 1) {
            e2[1] = x * x;
            break;
        }
        v4 s = zero;
        for (int j = 0; j < k; j++) s += row[j] * row[j];
        const v4 tail = s - x * x, norm = root4(s);
        const m4 tiny = at_least4(1e-28 * s, tail); /* nothing to remove */
        const v4 alpha = select4(more4(x, zero), -norm, norm);
        e2[k] = select4(tiny, x * x, s);
        for (int j = 0; j < k; j++) u[j] = row[j];
        u[k - 1] = x - alpha;
        const v4 beta = select4(tiny, zero, one / select4(tiny, one, s - alpha * x));
        multiply(a, n, k, u, q);
        v4 uq = zero;
        for (int j = 0; j < k; j++) {
            q[j] *= beta;
            uq += u[j] * q[j];
        }
        uq *= 0.5 * beta;
        for (int j = 0; j < k; j++) q[j] -= uq * u[j];
        update(a, n, k, u, q);
    }
    d[0] = a[0];
}

/* Largest eigenvalue of the tridiagonal matrix (sign = 1) or of its negative (sign = -1) above `start`. */
typedef struct {
    v4 x;
    m4 done;
} end_t;

/* One Laguerre step for both ends at once (they share the divisions' latency). */
static int laguerre(const v4 *d, const v4 *e2, int n, end_t *end) {
    const v4 zero = all4(0), one = all4(1);
    v4 p[2], first[2], second[2], sum[2], squares[2];
    m4 passed[2]; /* rounding has carried the iterate past the eigenvalue */
    for (int z = 0; z < 2; z++) {
        p[z] = (z ? -d[0] : d[0]) - end[z].x;
        first[z] = -(one / p[z]); /* p'/p and p''/p of the ratios of successive minors */
        second[z] = zero;
        sum[z] = first[z];
        squares[z] = first[z] * first[z];
        passed[z] = at_least4(p[z], zero);
    }
    for (int i = 1; i < n; i++)
        for (int z = 0; z < 2; z++) {
            const v4 r = e2[i] / p[z];
            const v4 numerator = r * first[z] - 1.0, curvature = r * (second[z] - 2.0 * first[z] * first[z]);
            p[z] = (z ? -d[i] : d[i]) - end[z].x - r;
            passed[z] |= at_least4(p[z], zero);
            const v4 over = one / p[z];
            first[z] = numerator * over;
            second[z] = curvature * over;
            sum[z] += first[z];
            squares[z] += first[z] * first[z] - second[z];
        }
    int all = 1;
    for (int z = 0; z < 2; z++) {
        v4 inside = (n - 1) * (n * squares[z] - sum[z] * sum[z]);
        inside = select4(more4(inside, zero), inside, zero);
        const v4 step = n / (sum[z] + root4(inside));
        const m4 stop = passed[z] | ~more4(step, 1e-15 * abs4(end[z].x) + 1e-18);
        end[z].done |= passed[z];
        end[z].x = select4(end[z].done | ~more4(step, zero), end[z].x, end[z].x - step);
        end[z].done |= stop;
        for (int l = 0; l < 4; l++) all &= end[z].done[l] != 0;
    }
    return all;
}

/* Largest |eigenvalue| of four symmetric n x n matrices; destroys them. */
static v4 spectral_radius(v4 *a, int n) {
    v4 d[FAST_LEVELS], e2[FAST_LEVELS];
    tridiagonal(a, n, d, e2);
    /* start outside Gershgorin's discs */
    v4 top = all4(-1e300), bottom = top, before = all4(0);
    for (int i = 0; i < n; i++) {
        const v4 after = i + 1 < n ? root4(e2[i + 1]) : all4(0), radius = before + after;
        const v4 up = d[i] + radius, down = radius - d[i];
        top = select4(more4(up, top), up, top);
        bottom = select4(more4(down, bottom), down, bottom);
        before = after;
    }
    end_t end[2] = {{top, {0, 0, 0, 0}}, {bottom, {0, 0, 0, 0}}};
    for (int z = 0; z < 2; z++) end[z].x += 1e-12 * abs4(end[z].x) + 1e-15;
    for (int k = 0; k < 60; k++)
        if (laguerre(d, e2, n, end)) break;
    return select4(more4(end[0].x, end[1].x), end[0].x, end[1].x);
}
