/* Maximal correlation coefficient: the square root of the second largest eigenvalue of
 * Q(i,j) = sum_k P(i,k) P(j,k) / (p_x(i) p_y(k)).
 *
 * For a symmetrical P, Q is similar to the square of B = D^-1/2 P D^-1/2, whose largest eigenpair is (1, sqrt p_x).
 * With that pair taken away, MCC is the largest |eigenvalue|. Directions are solved side by side, one per lane:
 * Householder's reduction to a tridiagonal matrix, then Laguerre's iteration from outside at both ends.
 */
#include <math.h>

#include "fast2d.h"
#include "lanes.h"

/* q = A u for the leading k x k block of a symmetric A of which the lower triangle is stored. Two rows at a time, so
 * that u and q are loaded half as often. */
static void multiply(const vd *a, int n, int k, const vd *u, vd *restrict q) {
    for (int j = 0; j < k; j++) q[j] = all(0);
    int i = 0;
    for (; i + 1 < k; i += 2) {
        const vd *r0 = a + (int64_t)i * n, *r1 = r0 + n;
        const vd u0 = u[i], u1 = u[i + 1];
        vd t0 = r0[i] * u0, t1 = r1[i + 1] * u1 + r1[i] * u0;
        t0 += r1[i] * u1;
        for (int j = 0; j < i; j++) {
            const vd uj = u[j], x = r0[j], y = r1[j];
            t0 += x * uj;
            t1 += y * uj;
            q[j] += x * u0 + y * u1;
        }
        q[i] += t0;
        q[i + 1] += t1;
    }
    if (i < k) {
        const vd *r = a + (int64_t)i * n;
        vd t = r[i] * u[i];
        for (int j = 0; j < i; j++) {
            t += r[j] * u[j];
            q[j] += r[j] * u[i];
        }
        q[i] += t;
    }
}

/* A -= u q' + q u' on the same block. */
static void update(vd *a, int n, int k, const vd *u, const vd *q) {
    int i = 0;
    for (; i + 1 < k; i += 2) {
        vd *restrict r0 = a + (int64_t)i * n, *restrict r1 = r0 + n;
        const vd u0 = u[i], q0 = q[i], u1 = u[i + 1], q1 = q[i + 1];
        for (int j = 0; j <= i; j++) {
            const vd uj = u[j], qj = q[j];
            r0[j] -= u0 * qj + q0 * uj;
            r1[j] -= u1 * qj + q1 * uj;
        }
        r1[i + 1] -= 2.0 * (u1 * q1);
    }
    if (i < k)
        for (int j = 0; j <= i; j++) a[(int64_t)i * n + j] -= u[i] * q[j] + q[i] * u[j];
}

/* Diagonal d and squared off-diagonal e2 (e2[i] joins i - 1 and i). Rows are reduced from the last upwards. */
APART static void tridiagonal(vd *a, int n, vd *d, vd *e2) {
    vd u[FAST_LEVELS], q[FAST_LEVELS];
    const vd zero = all(0), one = all(1);
    for (int k = n - 1; k >= 1; k--) {
        const vd *row = a + (int64_t)k * n;
        d[k] = row[k];
        const vd x = row[k - 1];
        if (k == 1) {
            e2[1] = x * x;
            break;
        }
        vd s = zero;
        for (int j = 0; j < k; j++) s += row[j] * row[j];
        const vd tail = s - x * x, norm = root(s);
        const md tiny = (1e-28 * s >= tail); /* nothing to remove */
        const vd alpha = choose(more(x, zero), -norm, norm);
        e2[k] = choose(tiny, x * x, s);
        for (int j = 0; j < k; j++) u[j] = row[j];
        u[k - 1] = x - alpha;
        const vd beta = choose(tiny, zero, one / choose(tiny, one, s - alpha * x));
        multiply(a, n, k, u, q);
        vd uq = zero;
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
    vd x;
    md done;
} end_t;

/* One Laguerre step for both ends at once (they share the divisions' latency). */
APART static int laguerre(const vd *d, const vd *e2, int n, end_t *end) {
    const vd zero = all(0), one = all(1);
    vd over[2], first[2], second[2], sum[2], squares[2];
    md passed[2]; /* rounding has carried the iterate past the eigenvalue */
    for (int z = 0; z < 2; z++) {
        const vd p = (z ? -d[0] : d[0]) - end[z].x; /* ratio of successive minors */
        over[z] = one / p;
        first[z] = -over[z]; /* p'/p and p''/p */
        second[z] = zero;
        sum[z] = first[z];
        squares[z] = first[z] * first[z];
        passed[z] = at_least(p, zero);
    }
    for (int i = 1; i < n; i++)
        for (int z = 0; z < 2; z++) {
            const vd r = e2[i] * over[z], p = (z ? -d[i] : d[i]) - end[z].x - r;
            const vd numerator = r * first[z] - 1.0, curvature = r * (second[z] - 2.0 * first[z] * first[z]);
            passed[z] |= at_least(p, zero);
            over[z] = one / p;
            first[z] = numerator * over[z];
            second[z] = curvature * over[z];
            sum[z] += first[z];
            squares[z] += first[z] * first[z] - second[z];
        }
    int settled = 1;
    for (int z = 0; z < 2; z++) {
        vd inside = (n - 1) * (n * squares[z] - sum[z] * sum[z]);
        inside = choose(more(inside, zero), inside, zero);
        const vd step = n / (sum[z] + root(inside));
        const md stop = passed[z] | ~more(step, 1e-15 * magnitude(end[z].x) + 1e-18);
        end[z].done |= passed[z];
        end[z].x = choose(end[z].done | ~more(step, zero), end[z].x, end[z].x - step);
        end[z].done |= stop;
        for (int l = 0; l < LANES; l++) settled &= end[z].done[l] != 0;
    }
    return settled;
}

/* Largest |eigenvalue| of LANES symmetric n x n matrices; destroys them. */
static vd spectral_radius(vd *a, int n) {
    vd d[FAST_LEVELS], e2[FAST_LEVELS];
    tridiagonal(a, n, d, e2);
    /* start outside Gershgorin's discs */
    vd top = all(-1e300), bottom = top, before = all(0);
    for (int i = 0; i < n; i++) {
        const vd after = i + 1 < n ? root(e2[i + 1]) : all(0), radius = before + after;
        const vd up = d[i] + radius, down = radius - d[i];
        top = choose(more(up, top), up, top);
        bottom = choose(more(down, bottom), down, bottom);
        before = after;
    }
    end_t end[2] = {{top, {0}}, {bottom, {0}}};
    for (int z = 0; z < 2; z++) end[z].x += 1e-12 * magnitude(end[z].x) + 1e-15;
    for (int k = 0; k < 60; k++)
        if (laguerre(d, e2, n, end)) break;
    return choose(more(end[0].x, end[1].x), end[0].x, end[1].x);
}
