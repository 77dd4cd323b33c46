"""Both engines give the reference values of the Image Biomarker Standardisation Initiative for its digital phantom.

The phantom is a volume of 4 slices; the 2-D values ("2D_avg": features per slice and direction, then the mean) are what
a slice-wise extractor can be held to. First-order features do not depend on where a pixel lies, so the slices are laid
side by side for them. Values have three significant digits, as published (Zwanenburg et al., Radiology 295:328 (2020),
10.1148/radiol.2020191145, and the reference manual, arXiv 1612.07003, chapter 5).

docs/extractors.md lists where definitions differ. Of the texture features only MCC is not compared: IBSI has none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from extractors.fast2d_engines import COLUMNS, ENGINES
from harmbench_builtin.extractors.fast2d.settings import Settings

PHANTOM = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [0, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ]
)
"""Levels of the phantom's slices, 0 outside its mask."""

FIRST_ORDER = {
    "Mean": 2.15,
    "Variance": 3.05,
    "Skewness": 1.08,
    "Kurtosis": -0.355 + 3,  # IBSI gives the excess over a normal distribution
    "Median": 1.0,
    "Minimum": 1.0,
    "10Percentile": 1.0,
    "90Percentile": 4.0,
    "Maximum": 6.0,
    "InterquartileRange": 3.0,
    "Range": 5.0,
    "MeanAbsoluteDeviation": 1.55,
    "RobustMeanAbsoluteDeviation": 1.11,
    "Energy": 567.0,
    "RootMeanSquared": 2.77,
    "Entropy": 1.27,
    "Uniformity": 0.512,
}
SLICES = {
    "glcm": {
        "MaximumProbability": 0.519,
        "JointAverage": 2.14,
        "SumSquares": 2.69,
        "JointEntropy": 2.05,
        "DifferenceAverage": 1.42,
        "DifferenceVariance": 2.90,
        "DifferenceEntropy": 1.40,
        "SumAverage": 4.28,
        "ClusterTendency": 5.47,
        "SumEntropy": 1.60,
        "JointEnergy": 0.368,
        "Contrast": 5.28,
        "Id": 0.678,
        "Idn": 0.851,
        "Idm": 0.619,
        "Idmn": 0.899,
        "InverseVariance": 0.0567,
        "Correlation": -0.0121,
        "Autocorrelation": 5.09,
        "ClusterShade": 7.00,
        "ClusterProminence": 79.1,
        "Imc1": -0.155,
        "Imc2": 0.487,
    },
    "glrlm": {
        "ShortRunEmphasis": 0.641,
        "LongRunEmphasis": 3.78,
        "LowGrayLevelRunEmphasis": 0.604,
        "HighGrayLevelRunEmphasis": 9.82,
        "ShortRunLowGrayLevelEmphasis": 0.294,
        "ShortRunHighGrayLevelEmphasis": 8.57,
        "LongRunLowGrayLevelEmphasis": 3.14,
        "LongRunHighGrayLevelEmphasis": 17.4,
        "GrayLevelNonUniformity": 5.20,
        "GrayLevelNonUniformityNormalized": 0.460,
        "RunLengthNonUniformity": 6.12,
        "RunLengthNonUniformityNormalized": 0.492,
        "RunPercentage": 0.627,
        "GrayLevelVariance": 3.35,
        "RunVariance": 0.761,
        "RunEntropy": 2.17,
    },
    "glszm": {
        "SmallAreaEmphasis": 0.363,
        "LargeAreaEmphasis": 43.9,
        "LowGrayLevelZoneEmphasis": 0.371,
        "HighGrayLevelZoneEmphasis": 16.4,
        "SmallAreaLowGrayLevelEmphasis": 0.0259,
        "SmallAreaHighGrayLevelEmphasis": 10.3,
        "LargeAreaLowGrayLevelEmphasis": 40.4,
        "LargeAreaHighGrayLevelEmphasis": 113.0,
        "GrayLevelNonUniformity": 1.41,
        "GrayLevelNonUniformityNormalized": 0.323,
        "SizeZoneNonUniformity": 1.49,
        "SizeZoneNonUniformityNormalized": 0.333,
        "ZonePercentage": 0.240,
        "GrayLevelVariance": 3.97,
        "ZoneVariance": 21.0,
        "ZoneEntropy": 1.93,
    },
    "gldm": {  # IBSI: neighbouring grey level dependence, coarseness 0, distance 1
        "SmallDependenceEmphasis": 0.158,
        "LargeDependenceEmphasis": 19.2,
        "LowGrayLevelEmphasis": 0.702,
        "HighGrayLevelEmphasis": 7.49,
        "SmallDependenceLowGrayLevelEmphasis": 0.0473,
        "SmallDependenceHighGrayLevelEmphasis": 3.06,
        "LargeDependenceLowGrayLevelEmphasis": 17.6,
        "LargeDependenceHighGrayLevelEmphasis": 49.5,
        "GrayLevelNonUniformity": 10.2,
        "DependenceNonUniformity": 3.96,
        "DependenceNonUniformityNormalized": 0.212,
        "GrayLevelVariance": 2.70,
        "DependenceVariance": 2.73,
        "DependenceEntropy": 2.71,
    },
    "ngtdm": {"Coarseness": 0.121, "Contrast": 0.925, "Busyness": 2.99, "Complexity": 10.4, "Strength": 2.88},
}


def assert_published(found: float, published: float, name: str) -> None:
    """Equal to what was published with three digits: within half a unit of the last."""
    digits = 2 - int(np.floor(np.log10(abs(published))))
    assert abs(found - published) <= 0.5000001 * 10.0**-digits, f"{name}: {found}, published {published}"


def features(engine: Callable[..., np.ndarray], levels: np.ndarray) -> dict[str, float]:
    """With bin width 1 and a smallest level of 1, levels are the values themselves."""
    found = engine(levels[None].astype(np.float64), levels > 0, (1.0, 1.0), Settings(bin_width=1.0))[0]
    return dict(zip(COLUMNS, found.tolist(), strict=True))


def test_the_phantom_is_the_published_one() -> None:
    inside = PHANTOM[PHANTOM > 0]
    assert inside.size == 74
    assert (inside**2).sum() == 567


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", FIRST_ORDER)
def test_first_order(engine: Callable[..., np.ndarray], name: str) -> None:
    found = features(engine, np.concatenate(PHANTOM, axis=1))
    assert_published(found[f"firstorder_{name}"], FIRST_ORDER[name], name)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("feature_class", SLICES)
def test_texture_by_slices(engine: Callable[..., np.ndarray], feature_class: str) -> None:
    slices = [features(engine, levels) for levels in PHANTOM]
    for name, published in SLICES[feature_class].items():
        full = f"{feature_class}_{name}"
        assert_published(float(np.mean([found[full] for found in slices])), published, full)


def test_all_texture_features_but_mcc_are_compared() -> None:
    compared = {f"{c}_{name}" for c, names in SLICES.items() for name in names}
    texture = {name for name in COLUMNS if not name.startswith(("firstorder", "shape2D"))}
    assert texture - compared == {"glcm_MCC"}
