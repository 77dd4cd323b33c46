"""Covariates are coded as in the fit, whatever rows come later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harmbench.errors import DataError
from harmbench_builtin.harmonizers.combat.design import Categorical, Continuous, encode, factorise, learn_codes

SAMPLES = ("a", "b", "c", "d")
TRAIN = {"age": np.array([50.0, 60.0, 70.0, 80.0]), "view": np.array(["plax", "a4c", "a2c", "plax"])}


def test_levels_and_centre_come_from_the_training_rows() -> None:
    assert learn_codes(TRAIN, SAMPLES) == (Continuous("age", 65.0), Categorical("view", ("a2c", "a4c", "plax")))


def test_coding_is_one_column_per_number_and_one_per_level_but_the_first() -> None:
    coded = encode(learn_codes(TRAIN, SAMPLES), TRAIN, SAMPLES)
    assert coded.names == ("age", "view=a4c", "view=plax")
    np.testing.assert_array_equal(coded.columns, [[-15, 0, 1], [-5, 1, 0], [5, 0, 0], [15, 0, 1]])


def test_one_row_is_coded_as_it_is_among_others() -> None:
    codes = learn_codes(TRAIN, SAMPLES)
    whole = encode(codes, TRAIN, SAMPLES).columns
    for i, sample in enumerate(SAMPLES):
        alone = encode(codes, {name: column[i : i + 1] for name, column in TRAIN.items()}, [sample])
        np.testing.assert_array_equal(alone.columns[0], whole[i])


def test_a_number_that_is_the_same_everywhere_is_coded_as_exactly_zero() -> None:
    same = {"age": np.full(1001, 0.1)}
    samples = [f"s{i}" for i in range(1001)]
    assert not encode(learn_codes(same, samples), same, samples).columns.any()


def test_a_category_with_one_training_level_adds_no_column() -> None:
    codes = learn_codes({"view": np.array(["plax", "plax"])}, ("a", "b"))
    assert encode(codes, {"view": np.array(["plax"])}, ["x"]).columns.shape == (1, 0)


@pytest.mark.parametrize(
    "column",
    [
        np.array([1.0, np.nan, 2.0, 3.0]),
        np.array([1.0, np.inf, 2.0, 3.0]),
        np.array(["x", "", "y", "x"]),
        np.array(["x", " ", "y", "x"]),
        np.array(["x", None, "y", "x"], dtype=object),
        np.array(["x", float("nan"), "y", "x"], dtype=object),
    ],
)
def test_a_missing_value_names_covariate_and_sample(column: np.ndarray) -> None:
    with pytest.raises(DataError, match="covariate 'c' is missing for sample 'b'"):
        learn_codes({"c": column}, SAMPLES)


@pytest.mark.parametrize(
    ("later", "message"),
    [
        ({"age": [60.0], "view": ["a3c"]}, "covariate 'view' of sample 'x' is 'a3c', a level that no training row had"),
        ({"age": [60.0]}, "covariate 'view' was used in the fit but is not in this table"),
        ({"age": ["60"], "view": ["plax"]}, "covariate 'age' is text here but was a number in the fit"),
        ({"age": [60.0], "view": [1]}, "covariate 'view' is a number here but was text in the fit"),
        ({"age": [np.nan], "view": ["plax"]}, "covariate 'age' is missing for sample 'x'"),
    ],
)
def test_rows_that_cannot_be_coded_are_named(later: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode(learn_codes(TRAIN, SAMPLES), {name: np.array(column) for name, column in later.items()}, ["x"])


def test_factorisation_multiplies_back() -> None:
    within = np.random.default_rng(0).normal(size=(20, 3)) * [1, 1e-8, 1e8]
    unit, triangle = factorise(within, np.linalg.norm(within, axis=0), ("a", "b", "c"))
    np.testing.assert_allclose(
        unit @ triangle / np.linalg.norm(within, axis=0), within / np.linalg.norm(within, axis=0), atol=1e-14
    )
