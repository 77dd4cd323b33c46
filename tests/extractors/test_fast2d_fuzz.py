"""Random masks, values and settings: the compiled engine equals NumPy's formulas, and those equal PyRadiomics."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from extractors.fast2d_engines import COLUMNS, ENGINES, assert_close, by_numpy, compiled, needs_engine
from golden.cases import tolerance
from harmbench_builtin.extractors.fast2d import engine
from harmbench_builtin.extractors.fast2d.oracle.levels import discretise, offsets, pairs
from harmbench_builtin.extractors.fast2d.settings import Settings
from harmbench_builtin.harmonizers.filter_bank.filter import filter_bank

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "bus-bra"
pyradiomics = pytest.importorskip("golden.make_pyradiomics", reason="PyRadiomics is not installed")

Inputs = tuple[np.ndarray, np.ndarray, tuple[float, float], Settings]
logging.getLogger("radiomics").setLevel(logging.CRITICAL)
fuzzed = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def inputs(draw: st.DrawFn, largest: int = 24, levels: int = 2000) -> Inputs:
    """A map (1, H, W), a mask with at least one pixel, a spacing, settings."""
    h, w = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = random.random((h, w)) < draw(st.sampled_from([0.05, 0.3, 0.6, 0.9, 1.0]))
    if draw(st.booleans()):  # compact, as regions are drawn
        mask[: h // 3, : w // 2] = draw(st.booleans())
    mask[random.integers(h), random.integers(w)] = True
    kind = draw(
        st.sampled_from(["normal", "uniform", "integers", "few", "constant", "ramp", "skewed", "offset", "rare"])
    )
    y, x = np.mgrid[:h, :w]
    values = {
        "normal": random.normal(size=(h, w)) * 40,
        "uniform": random.random((h, w)),
        "integers": random.integers(-100, 100, (h, w)).astype(float),
        "few": random.integers(0, 3, (h, w)) * 0.3,
        "constant": np.full((h, w), random.normal()),
        "ramp": (x + 3.0 * y) / 7,
        "skewed": np.exp(random.normal(size=(h, w)) * 3),
        "rare": np.where(random.random((h, w)) < 0.1, random.integers(0, 12, (h, w)), 0) / 4,
        "offset": 1e5 + random.normal(size=(h, w)),
    }[kind]
    spread = float(np.ptp(values[mask])) or 1.0
    binning = (
        {"bin_count": draw(st.one_of(st.integers(2, 64), st.integers(65, levels)))}
        if draw(st.booleans())
        else {"bin_width": spread / draw(st.floats(0.5, 300))}
    )
    chosen = Settings(**binning, distance=draw(st.integers(1, 4)), symmetrical_glcm=draw(st.booleans()))
    spacing = (draw(st.floats(0.1, 3)), draw(st.floats(0.1, 3)))
    return values[None], mask, spacing, chosen


def allowed(expected: np.ndarray) -> np.ndarray:
    """As for stored values, and what rounding makes of a 0.

    ClusterShade is a sum of cubes that may cancel, here to 1e-12 of their size. Imc2 and MCC are roots of what may be
    0, and of 1e-16 the root is 1e-8.
    """
    limit = tolerance(COLUMNS, expected)
    size = expected[..., COLUMNS.index("glcm_ClusterProminence")] ** 0.75
    limit[..., COLUMNS.index("glcm_ClusterShade")] += 1e-12 * size
    for root in ("glcm_Imc2", "glcm_MCC"):
        limit[..., COLUMNS.index(root)] += 1e-7
    return limit


@needs_engine
@fuzzed
@given(inputs())
def test_compiled_equals_numpy(drawn: Inputs) -> None:
    maps, mask, spacing, chosen = drawn
    expected = by_numpy(maps, mask, spacing, chosen)
    assert_close(compiled(maps, mask, spacing, chosen), expected, allowed(expected))


@needs_engine
@pytest.mark.parametrize(
    "chosen",
    [Settings(65_535), Settings(65_535, symmetrical_glcm=False, distance=2), Settings(bin_width=1e-4), Settings(5000)],
    ids=str,
)
def test_compiled_equals_numpy_with_many_levels(chosen: Settings) -> None:
    random = np.random.default_rng(0)
    maps, mask = random.random((2, 40, 40)), random.random((40, 40)) < 0.7
    maps[1, 20:] = np.round(maps[1, 20:], 2)
    expected = by_numpy(maps, mask, (1.0, 1.0), chosen)
    assert expected[:, COLUMNS.index("glszm_HighGrayLevelZoneEmphasis")].max() > 2000**2
    assert_close(compiled(maps, mask, (1.0, 1.0), chosen), expected, allowed(expected))


@settings(fuzzed, max_examples=60)
@given(inputs(largest=16, levels=300))
def test_numpy_equals_pyradiomics(drawn: Inputs) -> None:
    maps, mask, spacing, chosen = drawn
    sides = [np.ptp(at) + 1 for at in np.nonzero(mask)]
    assume(min(sides) >= 2 and max(sides) > chosen.distance)  # PyRadiomics takes no others
    names = {"distance": chosen.distance, "symmetrical_glcm": chosen.symmetrical_glcm}
    names |= {"bin_width": chosen.bin_width} if chosen.bin_width else {"bin_count": chosen.bin_count}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # means of nothing, where we say NaN
        found = pyradiomics.execute(pyradiomics.extractor(names), maps[0], mask, spacing)
    expected = np.array([[found[name] for name in COLUMNS]])
    ours = by_numpy(maps, mask, spacing, chosen)
    limit, mcc, imc2 = allowed(expected), COLUMNS.index("glcm_MCC"), COLUMNS.index("glcm_Imc2")
    if np.isnan(expected[0, COLUMNS.index("glcm_JointEntropy")]):
        expected[0, mcc] = np.nan  # no pair of pixels at all; of a single level, PyRadiomics says 1 before it looks
    if np.ptp(maps[0, mask]) == 0:  # the rounded mean of a constant leaves PyRadiomics a variance of 1e-34
        expected[0, [COLUMNS.index(f"firstorder_{name}") for name in ("Skewness", "Kurtosis")]] = 0
    for root in (mcc, imc2):
        if _without_some_directions(ours[0, root], expected[0, root]):
            limit[0, root] = np.inf
    if _one_sided(maps[0], mask, chosen):
        limit[0, COLUMNS.index("glcm_Correlation")] = np.inf
    assert_close(ours, expected, limit)


def _one_sided(values: np.ndarray, mask: np.ndarray, chosen: Settings) -> bool:
    """Whether all first (or second) pixels of some direction's pairs have one level.

    Its standard deviation is 0 and the correlation 1 by convention; PyRadiomics divides by what rounding leaves of it.
    """
    levels = np.zeros(mask.shape, dtype=np.int64)
    levels[mask] = discretise(values[mask], chosen, "s1", "k0")
    sides = [side for offset in offsets(chosen.distance) for side in pairs(levels, offset) if side.size]
    return not chosen.symmetrical_glcm and any(np.ptp(side) == 0 for side in sides)


def _without_some_directions(ours: float, theirs: float) -> bool:
    """Whether both are means of the same sum over directions, theirs over fewer of them.

    Where MCC or Imc2 of a direction is 0, PyRadiomics takes the root of what rounding leaves; of -1e-17 that is NaN,
    and the direction drops out of the mean.
    """
    most = 16  # directions at distance 4
    return any(abs(ours * n - theirs * m) <= 1e-6 for n in range(2, most + 1) for m in range(1, n))


@needs_engine
def test_values_do_not_depend_on_plans_that_are_gone() -> None:
    # A plan that is freed gives its address to the next; nothing may be remembered of a plan by where it lies.
    random = np.random.default_rng(2)
    maps = random.normal(size=(1, 30, 30))
    masks = [random.random((30, 30)) < share for share in np.linspace(0.95, 0.2, 30)]
    kept = [engine.Plan(mask) for mask in masks]
    expected = [engine.extract(maps, plan, Settings()) for plan in kept]
    for mask, wanted in zip(masks, expected, strict=True):
        assert np.array_equal(engine.extract(maps, engine.Plan(mask), Settings()), wanted)


@needs_engine
@settings(fuzzed, max_examples=60)
@given(inputs(), st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_fused_filter_equals_filtered_maps(drawn: Inputs, h: int, w: int, seed: int) -> None:
    # What is compared is the filter: levels are whole numbers of a unit that rounding cannot reach.
    (image,), mask, spacing, chosen = drawn
    assume(image.shape[0] >= h and image.shape[1] >= w)
    random = np.random.default_rng(seed)
    image = random.integers(-50, 50, image.shape).astype(float)
    kernels, bias = random.integers(-8, 9, (3, h, w)) / 8, random.integers(-8, 9, 3) / 8
    plan = engine.Plan(mask, spacing)
    fused = engine.extract_filtered(image, kernels, bias, plan, chosen)
    apart = engine.extract(filter_bank(image, kernels, bias), plan, chosen)
    assert fused.shape == (3, 93)
    np.testing.assert_allclose(fused, apart, rtol=1e-9, atol=1e-12)


@pytest.mark.skipif(not REAL.is_dir(), reason="the BUS-BRA share is not beside this checkout (shared/data/bus-bra)")
@pytest.mark.parametrize("position", [0, 123, 300, 491])
@pytest.mark.parametrize("by", ENGINES)
def test_real_images_equal_pyradiomics(by: Callable[..., np.ndarray], position: int) -> None:
    file = sorted((REAL / "Images").iterdir())[position]
    pixels = np.asarray(Pillow.open(file).convert("L"), dtype=np.float64)
    mask = np.asarray(Pillow.open(REAL / "Masks" / file.name.replace("bus_", "mask_")).convert("L")) > 0
    kernels = np.random.default_rng(position).normal(size=(1, 4, 4))
    maps = np.concatenate([pixels[None], filter_bank(pixels, kernels)])
    expected = np.array(
        [
            [found[name] for name in COLUMNS]
            for found in (
                pyradiomics.execute(pyradiomics.extractor({"bin_count": 32}), values, mask, (1.0, 1.0))
                for values in maps
            )
        ]
    )
    assert_close(by(maps, mask, (1.0, 1.0), Settings()), expected, tolerance(COLUMNS, expected), file.name)
