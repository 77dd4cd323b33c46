"""Both engines give PyRadiomics' values, stored by `tests/golden/make_pyradiomics.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extractors.fast2d_engines import COLUMNS, ENGINES, assert_close
from golden.cases import Case, cases, tolerance
from harmbench_builtin.extractors.fast2d.settings import Settings

FILE = Path(__file__).parents[1] / "golden" / "pyradiomics.npz"
CASES = {case.name: case for case in cases()}


@cache
def stored() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(FILE) as file:
        return json.loads(str(file["about"])), {name: file[name] for name in file.files if name != "about"}


def expected(case: Case) -> np.ndarray:
    """(K, 102) in the order of COLUMNS."""
    about, tables = stored()
    order = [about["names"].index(name) for name in COLUMNS]
    return tables[case.name][:, order]


def test_every_case_is_stored_with_the_inputs_that_are_made_here() -> None:
    about, tables = stored()
    digests = {name: case.digest() for name, case in CASES.items()}
    assert digests == about["digests"], "inputs changed: run golden.make_pyradiomics, and say why in the commit"
    assert set(tables) == set(CASES)
    assert sorted(about["names"]) == sorted(COLUMNS)
    assert {"numpy", "SimpleITK", "radiomics.__version__"} <= set(about["versions"])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("engine", ENGINES)
def test_equals_pyradiomics(engine: Callable[..., np.ndarray], name: str) -> None:
    case = CASES[name]
    settings = Settings(**case.settings)  # type: ignore[arg-type]
    reference = expected(case)
    found = np.concatenate(
        [engine(pixels[None], mask, case.spacing, settings) for pixels, mask in zip(case.maps, case.masks, strict=True)]
    )
    assert_close(found, reference, tolerance(COLUMNS, reference), name)
