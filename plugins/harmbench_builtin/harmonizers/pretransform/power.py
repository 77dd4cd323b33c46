"""Maximum likelihood of the Yeo-Johnson exponent, for all features at once.

With t = log(1 + |x|), f(m, t) = (exp(m t) - 1) / m and m = l for x >= 0, m = 2 - l for x < 0, the transform is
y = sign(x) f(m, t). The profile log likelihood of l is -n/2 log var(y) + (l - 1) sum(sign(x) t); its first two
derivatives need f, df/dm and d2f/dm2, which share one exponential. Newton's method, kept inside a bracket, then takes
a handful of passes over the data, where a line search by function values takes about thirty.

Source: Yeo, Johnson (2000), Biometrika 87:954-959, section 3.
"""

from __future__ import annotations

import math

import numpy as np

from harmbench.data import Floats

LOWEST, HIGHEST = -8.0, 10.0
"""Where the exponent is looked for; symmetric about 1, which leaves values as they are."""
_TOLERANCE = 1e-9
_ITERATIONS = 80
_EXPONENT = 300.0  # exp of more would overflow when squared
_SMALL = 0.05
_TERMS = 16


def _powers(m: Floats, t: Floats) -> tuple[Floats, Floats, Floats]:
    """f(m, t) and its first two derivatives by m, each row up to one positive factor of its own."""
    product = m * t
    shift = np.maximum(product.max(axis=1, keepdims=True) - _EXPONENT, 0)
    power = np.exp(product - shift)
    safe = np.where(m == 0, 1.0, m)
    zeroth = (power - np.exp(-shift)) / safe
    first = (t * power - zeroth) / safe
    second = (t * t * power - 2 * first) / safe
    # The closed forms cancel where m is small; there f = integral of exp(m s) ds over [0, t] gives the series.
    small = (np.abs(m) < _SMALL) & (np.abs(product) < 0.5)
    if small.any():
        x, u = product[small], t[small]
        sums = [np.zeros_like(x) for _ in range(3)]
        term = np.exp(-np.broadcast_to(shift, m.shape)[small])
        for k in range(_TERMS):
            for i, total in enumerate(sums, start=1):
                total += term / (k + i)
            term = term * x / (k + 1)
        zeroth[small], first[small], second[small] = u * sums[0], u**2 * sums[1], u**3 * sums[2]
    return zeroth, first, second


def _slopes(exponent: Floats, sign: Floats, t: Floats, total: Floats) -> tuple[Floats, Floats]:
    """First and second derivative of the log likelihood, each (p,)."""
    n = t.shape[1]
    m = np.where(sign > 0, exponent[:, None], 2 - exponent[:, None])
    zeroth, first, second = _powers(m, t)
    zeroth *= sign
    second *= sign
    zeroth -= zeroth.mean(axis=1, keepdims=True)
    first -= first.mean(axis=1, keepdims=True)
    # One factor per row cancels in the quotients below; this one keeps the squares from vanishing or overflowing.
    unit = np.abs(zeroth).max(axis=1, keepdims=True)
    unit[unit == 0] = 1
    zeroth, first, second = zeroth / unit, first / unit, second / unit
    variance = np.einsum("ij,ij->i", zeroth, zeroth)
    variance[variance == 0] = 1
    slope = 2 * np.einsum("ij,ij->i", zeroth, first) / variance
    bend = 2 * (np.einsum("ij,ij->i", first, first) + np.einsum("ij,ij->i", zeroth, second)) / variance
    return total - n / 2 * slope, -n / 2 * (bend - slope**2)


def _climb(start: Floats, sign: Floats, t: Floats) -> Floats:
    """The exponent of each row at the maximum that is reached from `start`."""
    found = start.copy()
    low, high = np.full(len(start), LOWEST), np.full(len(start), HIGHEST)
    total = np.einsum("ij,ij->i", sign, t)
    active = np.arange(len(start))
    for _ in range(_ITERATIONS):
        now = found[active]
        some = slice(None) if len(active) == len(start) else active
        slope, bend = _slopes(now, sign[some], t[some], total[active])
        rising = slope > 0
        low[active] = np.where(rising, now, low[active])
        high[active] = np.where(rising, high[active], now)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = now - slope / bend
        middle = (low[active] + high[active]) / 2
        inside = (bend < 0) & (step > low[active]) & (step < high[active])
        found[active] = np.where(inside, step, middle)
        moved = np.abs(found[active] - now)
        active = active[(moved > _TOLERANCE) & (slope != 0)]
        if not len(active):
            break
    return found


def exponents(values: Floats) -> Floats:
    """The maximum-likelihood exponent of each feature, within [LOWEST, HIGHEST].

    Parameters
    ----------
    values : float64 (n, p)
        Of the order of 1: the exponent depends on location and scale. A constant feature gets 1.

    Returns
    -------
    float64 (p,)
    """
    n, p = values.shape
    out = np.ones(p)
    width = max(1, (1 << 17) // max(n, 1))  # features at a time, so that a block stays in the processor's cache
    for start in range(0, p, width):
        block = np.ascontiguousarray(values[:, start : start + width].T)
        varies = np.flatnonzero(block.max(axis=1) > block.min(axis=1))
        if not len(varies):
            continue
        block = block[varies]
        sign = np.where(block >= 0, 1.0, -1.0)
        t = np.log1p(np.abs(block))
        first = np.ones(len(varies))
        stride = n // 256
        if stride > 1:  # a good start from some of the rows saves most passes over all of them
            first = _climb(first, np.ascontiguousarray(sign[:, ::stride]), np.ascontiguousarray(t[:, ::stride]))
        out[start + varies] = _climb(first, sign, t)
    return out


_LARGEST = 200.0


def transform(values: Floats, exponent: Floats) -> Floats:
    """Yeo-Johnson with these exponents: float64 (n, p).

    A value that would exceed exp(200) in size (about 1e87) is held there, so that what follows can square it.
    """
    negative = values < 0
    t = np.log1p(np.abs(values))
    m = np.where(negative, 2 - exponent, exponent)
    product = np.minimum(m * t, _LARGEST + math.log(max(abs(LOWEST), HIGHEST)))
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.where(np.abs(m) > 1e-12, np.expm1(product) / m, t)
    return np.where(negative, -out, out)
