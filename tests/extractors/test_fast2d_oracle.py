"""What the formulas do where levels are many, or one, or pixels few."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pytest

from extractors.fast2d_engines import COLUMNS, ENGINES
from golden.cases import ring, signed
from harmbench_builtin.extractors.fast2d import oracle
from harmbench_builtin.extractors.fast2d.names import NAMES
from harmbench_builtin.extractors.fast2d.oracle.levels import neighbours, offsets, pairs
from harmbench_builtin.extractors.fast2d.settings import Settings

glcm = importlib.import_module("harmbench_builtin.extractors.fast2d.oracle.glcm")
MCC = NAMES.index("glcm_MCC")


def test_no_table_of_levels_by_levels_is_made() -> None:
    # 65 535 levels squared would be 34 GB.
    maps = np.random.default_rng(1).random((1, 60, 60))
    found = oracle.extract(maps, np.ones((60, 60), dtype=bool), (1.0, 1.0), Settings(65_535))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("symmetrical", [True, False])
def test_mcc_of_many_levels_is_that_of_the_full_table(monkeypatch: pytest.MonkeyPatch, symmetrical: bool) -> None:
    maps, chosen = signed(0, 1, 40), Settings(60, symmetrical_glcm=symmetrical)
    full = oracle.extract(maps, ring(40), (1.0, 1.0), chosen)[0, MCC]
    monkeypatch.setattr(glcm, "_DENSE", 0)
    assert oracle.extract(maps, ring(40), (1.0, 1.0), chosen)[0, MCC] == pytest.approx(full, rel=1e-10)


def test_mcc_is_1_where_levels_fall_into_groups_that_never_touch(monkeypatch: pytest.MonkeyPatch) -> None:
    board = (np.indices((20, 20)).sum(axis=0) % 2.0)[None]
    for dense in (400, 0):
        monkeypatch.setattr(glcm, "_DENSE", dense)
        found = oracle.extract(board, np.ones((20, 20), dtype=bool), (1.0, 1.0), Settings(2))
        assert found[0, MCC] == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_offsets_and_their_opposites_are_the_ring_of_that_radius(distance: int) -> None:
    both = {(s * dy, s * dx) for dy, dx in offsets(distance) for s in (1, -1)}
    side = range(-distance, distance + 1)
    assert both == {(y, x) for y in side for x in side if max(abs(y), abs(x)) == distance}
    assert len(both) == 2 * len(offsets(distance)) == 8 * distance


def test_pairs_and_neighbours_see_the_mask_only() -> None:
    levels = np.array([[1, 2, 0], [3, 0, 4]])
    first, second = pairs(levels, (1, -1))  # down and left
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(2, 3)]
    assert pairs(levels, (2, 0))[0].size == 0
    total = sum(neighbours(levels, 1))
    assert np.array_equal(total, [2 + 3, 1 + 3 + 4, 1 + 2, 2])


def test_what_a_mask_does_not_define_is_nan() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[4, 4] = True
    found = dict(zip(NAMES, oracle.extract(np.ones((1, 9, 9)), mask, (1.0, 1.0), Settings())[0], strict=True))
    undefined = {name for name, value in found.items() if np.isnan(value)}
    assert undefined == {name for name in NAMES if name.startswith(("glcm_", "glrlm_"))}
    assert found["firstorder_Variance"] == 0
    assert found["glszm_ZonePercentage"] == found["gldm_LargeDependenceEmphasis"] == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_one_level_has_no_spread_however_many_pairs_there_are(engine: Callable[..., np.ndarray]) -> None:
    # Shares of n equal counts do not sum to 1 for every n when they are rounded; no variance may come of that.
    random = np.random.default_rng(3)
    exact = {"glcm_Correlation": 1, "glcm_MCC": 1, "glcm_Imc1": 0, "glcm_Imc2": 0, "glcm_SumSquares": 0}
    exact |= {"glcm_Contrast": 0, "glcm_ClusterTendency": 0, "firstorder_Skewness": 0, "firstorder_Kurtosis": 0}
    exact |= {"firstorder_Variance": 0, "ngtdm_Coarseness": 1e6, "ngtdm_Busyness": 0, "ngtdm_Strength": 0}
    for side in range(3, 40):
        mask = random.random((side, side)) < 0.9
        found = engine(np.full((1, side, side), 0.1), mask, (1.0, 1.0), Settings(32))[0]
        assert {name: found[COLUMNS.index(name)] for name in exact} == pytest.approx(exact, rel=0, abs=1e-12), side


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chosen", [Settings(9), Settings(9, symmetrical_glcm=False), Settings(9, distance=2)], ids=str)
def test_directions_that_see_one_level_have_no_spread(engine: Callable[..., np.ndarray], chosen: Settings) -> None:
    # The second level sits on a pixel alone, three pixels from all others.
    random = np.random.default_rng(4)
    exact = {"glcm_Correlation": 1, "glcm_MCC": 0, "glcm_Imc1": 0, "glcm_Imc2": 0, "glcm_SumSquares": 0}
    for side in range(6, 30):
        mask = random.random((side + 3, side + 3)) < 0.9
        mask[side:], mask[:, side:] = False, False
        mask[-1, -1] = True
        maps = np.full((1, *mask.shape), 0.1)
        maps[0, -1, -1] = 5.0
        found = engine(maps, mask, (1.0, 1.0), chosen)[0]
        assert {name: found[COLUMNS.index(name)] for name in exact} == pytest.approx(exact, rel=0, abs=1e-7), side


@pytest.mark.parametrize("engine", ENGINES)
def test_one_level_beside_several_gives_no_correlation_to_find(engine: Callable[..., np.ndarray]) -> None:
    # Only the last column varies: to the right lies level 1 beside any level, a matrix with a single row.
    random = np.random.default_rng(5)
    chosen = Settings(bin_width=1.0, symmetrical_glcm=False)
    for side in range(3, 30):
        maps = np.zeros((1, side, 2))
        maps[0, :, 1] = random.integers(0, 5, side)
        maps[0, 0, 1] = 1.0
        mask = np.ones((side, 2), dtype=bool)
        mask[1::2] = False  # rows apart, so that only pairs along a row are left
        found = engine(maps, mask, (1.0, 1.0), chosen)[0]
        exact = {"glcm_MCC": 0, "glcm_Imc1": 0, "glcm_Imc2": 0, "glcm_Correlation": 1, "glcm_JointAverage": 1}
        assert {name: found[COLUMNS.index(name)] for name in exact} == pytest.approx(exact, rel=0, abs=1e-7), side


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bins", [16, 32, 100, 254])
def test_tables_of_one_setting_do_not_serve_another(engine: Callable[..., np.ndarray], bins: int) -> None:
    # Both maps have the same largest level, bins / 2 + 1, under different numbers of bins.
    mask = ring(40)
    engine(signed(1, 1, 40), mask, (1.0, 1.0), Settings(bins // 2 + 1))
    found = engine(np.full((1, 40, 40), 3.0), mask, (1.0, 1.0), Settings(bins))[0]
    assert found[COLUMNS.index("gldm_HighGrayLevelEmphasis")] == (bins // 2 + 1) ** 2
    assert [found[COLUMNS.index(f"glcm_{name}")] for name in ("Id", "Idm", "Idn", "Idmn")] == pytest.approx([1] * 4)
