"""All 102 features in plain NumPy, one formula after the other.

Written from the published definitions (PyRadiomics' documentation; Zwanenburg et al., Radiology 295:328 (2020),
10.1148/radiol.2020191145), not from anybody's code. It serves where neither the compiled engine nor PyRadiomics is
installed, and as the independent program that the compiled engine is tested against. Nothing here is fast, and nothing
has a limit but memory: levels, runs and zones are kept as lists of what occurs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmbench.data import Bools, Floats
from harmbench_builtin.extractors.fast2d.checks import check_mask
from harmbench_builtin.extractors.fast2d.names import NAMES, TEXTURE_NAMES
from harmbench_builtin.extractors.fast2d.oracle.firstorder import firstorder
from harmbench_builtin.extractors.fast2d.oracle.glcm import glcm
from harmbench_builtin.extractors.fast2d.oracle.levels import discretise
from harmbench_builtin.extractors.fast2d.oracle.ngtdm import ngtdm
from harmbench_builtin.extractors.fast2d.oracle.shape import shape2d
from harmbench_builtin.extractors.fast2d.oracle.sizes import gldm, glrlm, glszm
from harmbench_builtin.extractors.fast2d.settings import Settings

__all__ = ["NAMES", "extract", "shape2d"]


def extract(
    maps: Floats,
    mask: Bools,
    spacing: tuple[float, float],
    settings: Settings,
    *,
    sample: str = "",
    names: Sequence[str] | None = None,
) -> Floats:
    """The 93 features of every map, in the order of `NAMES`.

    Parameters
    ----------
    maps : float64 (K, H, W)
        Values outside the mask play no part and may be NaN.
    mask : bool (H, W)
        Any shape with at least one pixel.
    spacing : (float, float)
        Row and column spacing; only TotalEnergy depends on it.
    sample, names : optional
        For messages: the sample, and the maps' names (their number from 0 when not given).

    Returns
    -------
    float64 (K, 93)
        NaN where a feature is not defined: GLCM without any pair of pixels, GLRLM without any line of two,
        RobustMeanAbsoluteDeviation with no value between the 10th and the 90th percentile.

    Raises
    ------
    DataError
        The mask is empty, or the values inside it cannot become grey levels (see `check_values`).
    """
    check_mask(mask, sample)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    inside, area = mask[box], spacing[0] * spacing[1]
    out = np.full((len(maps), len(NAMES)), np.nan)
    for row, (number, values) in zip(out, enumerate(maps), strict=True):
        x = np.asarray(values[box], dtype=np.float64)[inside]
        level = discretise(x, settings, sample, names[number] if names is not None else str(number))
        levels = np.zeros(inside.shape, dtype=np.int64)
        levels[inside] = level
        found = {
            "firstorder": firstorder(x, level, area),
            "glcm": glcm(levels, settings),
            "glrlm": glrlm(levels),
            "glszm": glszm(levels),
            "gldm": gldm(levels, settings.distance),
            "ngtdm": ngtdm(levels, settings.distance),
        }
        row[:] = [np.nan if (of_class := found[c]) is None else of_class[name] for c, name in TEXTURE_NAMES]
    return out
