"""Maximum likelihood of the Yeo-Johnson exponent, for all features at once.

With t = log(1 + |x|), f(m, t) = (exp(m t) - 1) / m and m = l for x >= 0, m = 2 - l for x < 0, the transform is
y = sign(x) f(m, t). The profile log likelihood of l is -n/2 log var(y) + (l - 1) sum(sign(x) t); its first two
derivatives need f, df/dm and d2f/dm2, which share one exponential. Newton's method, kept inside a bracket, then takes
a handful of passes over the data, where a line search by function values takes about thirty.

Source: Yeo, Johnson (2000), Biometrika 87:954-959, section 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmbench.data import Floats

LOWEST, HIGHEST = -8.0, 10.0
"""Where the exponent is looked for; symmetric about 1, which leaves values as they are."""
_STEP = 1e-5
"""A Newton step this small leaves an error of the order of its square."""
_ITERATIONS = 60
_SMALL = 0.05
"""Below this size of m the closed forms of f and its derivatives cancel."""
_PLAIN = 100.0
"""Up to exp of this, squares are far from overflow."""
_TERMS = 16
_BLOCK = 1 << 15  # values at a time: a dozen arrays of this size stay in the processor's cache
_ROWS_FIRST = 256


@dataclass(frozen=True)
class _Features:
    """Some features, one per row of the arrays."""

    sign: Floats
    t: Floats
    largest: Floats
    total: Floats

    @classmethod
    def of(cls, values: Floats) -> _Features:
        sign = np.where(values >= 0, 1.0, -1.0)
        t = np.log1p(np.abs(values))
        return cls(sign, t, t.max(axis=1), np.einsum("ij,ij->i", sign, t))

    def some(self, keep: npt.NDArray[np.intp] | slice) -> _Features:
        return _Features(self.sign[keep], self.t[keep], self.largest[keep], self.total[keep])


def _plain(exponent: Floats, sign: Floats, t: Floats) -> tuple[Floats, Floats, Floats]:
    """f, df/dm, d2f/dm2 where neither cancellation nor overflow is near."""
    positive = sign > 0
    m = np.where(positive, exponent[:, None], 2 - exponent[:, None])
    inverse = np.where(positive, 1 / exponent[:, None], 1 / (2 - exponent[:, None]))
    m *= t
    power = np.exp(m, out=m)
    zeroth = power - 1
    zeroth *= inverse
    power *= t
    first = power - zeroth
    first *= inverse
    power *= t
    power -= first
    power -= first
    power *= inverse
    return zeroth, first, power


def _careful(exponent: Floats, sign: Floats, t: Floats) -> tuple[Floats, Floats, Floats]:
    """The same for any exponent, each row up to one positive factor of its own (which cancels in the slopes)."""
    m = np.where(sign > 0, exponent[:, None], 2 - exponent[:, None])
    product = m * t
    shift = np.maximum(product.max(axis=1, keepdims=True) - _PLAIN, 0)
    power = np.exp(product - shift)
    safe = np.where(m == 0, 1.0, m)
    zeroth = (power - np.exp(-shift)) / safe
    first = (t * power - zeroth) / safe
    second = (t * t * power - 2 * first) / safe
    # f is the integral of exp(m s) over s in [0, t], which gives series that do not cancel.
    small = (np.abs(m) < _SMALL) & (np.abs(product) < 0.5)
    x, u = product[small], t[small]
    term = np.exp(-np.broadcast_to(shift, m.shape)[small])
    sums = [np.zeros_like(x) for _ in range(3)]
    for k in range(_TERMS):
        for i, total in enumerate(sums, start=1):
            total += term / (k + i)
        term = term * x / (k + 1)
    zeroth[small], first[small], second[small] = u * sums[0], u**2 * sums[1], u**3 * sums[2]
    return zeroth, first, second


def _slopes(exponent: Floats, some: _Features) -> tuple[Floats, Floats]:
    """First and second derivative of the log likelihood, each (p,)."""
    other = 2 - exponent
    size = np.maximum(np.abs(exponent), np.abs(other)) * some.largest
    plain = (np.abs(exponent) > _SMALL) & (np.abs(other) > _SMALL) & (size < _PLAIN)
    if plain.all():
        return _from_powers(_plain(exponent, some.sign, some.t), some)
    slope, bend = np.empty_like(exponent), np.empty_like(exponent)
    for keep, powers in ((np.flatnonzero(plain), _plain), (np.flatnonzero(~plain), _careful)):
        part = some.some(keep)
        slope[keep], bend[keep] = _from_powers(powers(exponent[keep], part.sign, part.t), part)
    return slope, bend


def _from_powers(powers: tuple[Floats, Floats, Floats], some: _Features) -> tuple[Floats, Floats]:
    """Derivatives of -n/2 log var(y) + (l - 1) sum(sign t), with y = sign f, dy/dl = df/dm, d2y/dl2 = sign d2f/dm2."""
    f, first, second = powers
    n = f.shape[1]
    y = some.sign * f
    mean, mean_first = y.mean(axis=1), first.mean(axis=1)
    mean_second = np.einsum("ij,ij->i", some.sign, second) / n
    variance = np.einsum("ij,ij->i", f, f) / n - mean**2
    variance = np.where(variance > 0, variance, 1.0)
    slope = 2 * (np.einsum("ij,ij->i", y, first) / n - mean * mean_first) / variance
    bend = np.einsum("ij,ij->i", first, first) / n - mean_first**2
    bend += np.einsum("ij,ij->i", f, second) / n - mean * mean_second
    bend *= 2 / variance
    return some.total - n / 2 * slope, -n / 2 * (bend - slope**2)


def _climb(start: Floats, features: _Features) -> Floats:
    """The exponent of each feature at the maximum that is reached from `start`: Newton steps inside a bracket."""
    found = start.copy()
    low, high = np.full(len(start), LOWEST), np.full(len(start), HIGHEST)
    active = np.arange(len(start))
    for _ in range(_ITERATIONS):
        now = found[active]
        slope, bend = _slopes(now, features if len(active) == len(start) else features.some(active))
        rising = slope > 0
        low[active] = np.where(rising, now, low[active])
        high[active] = np.where(rising, high[active], now)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = now - slope / bend
        inside = (bend < 0) & (newton > low[active]) & (newton < high[active])
        found[active] = np.where(inside, newton, (low[active] + high[active]) / 2)
        active = active[np.abs(found[active] - now) > _STEP]
        if not len(active):
            break
    return found


def exponents(values: Floats, centre: Floats, scale: Floats) -> Floats:
    """The maximum-likelihood exponent of each feature of (values - centre) / scale, within [LOWEST, HIGHEST].

    Parameters
    ----------
    values : float64 (n, p)
        A constant feature gets exponent 1.
    centre, scale : float64 (p,)
        The exponent depends on both; they should bring values to the order of 1.

    Returns
    -------
    float64 (p,)
    """
    n, p = values.shape
    out = np.ones(p)
    width = max(1, _BLOCK // max(n, 1))
    stride = max(1, n // _ROWS_FIRST)
    for start in range(0, p, width):
        block = np.ascontiguousarray(values[:, start : start + width].T)
        varies = np.flatnonzero(block.max(axis=1) > block.min(axis=1))
        if not len(varies):
            continue
        block = (block[varies] - centre[start + varies, None]) / scale[start + varies, None]
        first = np.ones(len(varies))
        if stride > 1:  # a good start from some of the rows saves passes over all of them
            first = _climb(first, _Features.of(block[:, ::stride]))
        out[start + varies] = _climb(first, _Features.of(block))
    return out


_LARGEST = 200.0


def transform(values: Floats, centre: Floats, scale: Floats, exponent: Floats) -> Floats:
    """Yeo-Johnson of (values - centre) / scale: float64 (n, p).

    A value that would exceed exp(200) (about 1e87) in size is held there, so that what follows can square it.
    """
    out = np.empty(values.shape)
    step = max(1, _BLOCK // max(1, values.shape[1]))
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        x = (values[rows] - centre) / scale
        negative = x < 0
        t = np.log1p(np.abs(x, out=x), out=x)
        m = np.where(negative, 2 - exponent, exponent)
        flat = np.abs(m) < 1e-12
        m[flat] = 1
        part = np.expm1(np.minimum(m * t, _LARGEST + math.log(HIGHEST)))
        part /= m
        part[flat] = t[flat]
        out[rows] = np.where(negative, -part, part)
    return out
