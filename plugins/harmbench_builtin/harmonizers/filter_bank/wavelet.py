"""`wavelet`: the sub-bands of an undecimated wavelet transform, as linear filters."""

from __future__ import annotations

from math import comb

import numpy as np

from harmbench.data import Floats
from harmbench.errors import UsageError
from harmbench_builtin.harmonizers.filter_bank.bank import FixedBank, Select, stacked
from harmbench_builtin.harmonizers.image_method import one_of

WAVELETS = ("haar", "db2", "db3", "db4", "db5", "db6", "db7", "db8")


class Wavelet(FixedBank):
    """LL, LH, HL, HH of the last level and LH, HL, HH of the levels before it, each as large as the image.

    The first letter says what is done down the columns, the second along the rows (L: low pass, H: high pass). Nothing
    is left out between levels (stationary, "a trous"): a level takes the filters of the one before with zeros put
    between their taps. Written as one two-dimensional kernel a band, it is a plain filter bank. Values are those of
    `pywt.swt2`, but for the border, which is mirrored here.

    Parameters
    ----------
    wavelet : {"haar", "db2", ..., "db8"}, default "haar"
        Daubechies' wavelets with 1 to 8 vanishing moments.
    levels : int, default 1
        1 to 4.
    reduce, select
        As for `ssl-kernel`.

    References
    ----------
    Daubechies 1988, 10.1002/cpa.3160410705.
    """

    def __init__(self, wavelet: str = "haar", levels: int = 1, reduce: str = "concat", select: Select = "") -> None:
        one_of("wavelet.wavelet", wavelet, WAVELETS)
        if isinstance(levels, bool) or not isinstance(levels, int) or not 1 <= levels <= 4:
            raise UsageError(f"wavelet.levels must be a whole number from 1 to 4, not {levels!r}.")
        low = daubechies(WAVELETS.index(wavelet) + 1)
        high = low[::-1] * (-1.0) ** np.arange(1, len(low) + 1)
        kernels: dict[str, Floats] = {}
        before = np.ones(1)
        for level in range(1, levels + 1):
            bands = {"L": np.convolve(before, _spread(low, level)), "H": np.convolve(before, _spread(high, level))}
            details = [down + along for down in "LH" for along in "LH" if down + along != "LL" or level == levels]
            # Reversed: a transform convolves, a filter bank correlates.
            kernels |= {f"{b}{level}": np.outer(bands[b[0]][::-1], bands[b[1]][::-1]) for b in details}
            before = bands["L"]
        super().__init__("wavelet", stacked(list(kernels.values())), list(kernels), reduce, select)


def daubechies(moments: int) -> Floats:
    """The low-pass decomposition filter with that many vanishing moments, (2 x moments,), its sum being sqrt 2.

    Spectral factorisation: |H|^2 is (1 + z)^N (1 + 1/z)^N times the polynomial sum_k C(N-1+k, k) y^k in
    y = (2 - z - 1/z) / 4; H takes the roots inside the unit circle.
    """
    polynomial = [comb(moments - 1 + k, k) for k in range(moments)]
    taps = np.ones(1)
    for y in np.roots(polynomial[::-1]):
        z = np.roots([1.0, 4 * y - 2, 1.0])  # z + 1/z = 2 - 4y
        taps = np.convolve(taps, [1.0, -z[np.argmin(np.abs(z))]])
    for _ in range(moments):
        taps = np.convolve(taps, [1.0, 1.0])
    real = np.real(taps)
    return np.asarray(real[::-1] * (np.sqrt(2) / real.sum()))


def _spread(taps: Floats, level: int) -> Floats:
    """The taps with 2^(level - 1) - 1 zeros between them."""
    step = 2 ** (level - 1)
    wide = np.zeros((len(taps) - 1) * step + 1)
    wide[::step] = taps
    return wide
