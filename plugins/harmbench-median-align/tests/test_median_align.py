"""The conformance kit of harmbench, and what is true of median-align alone."""

from __future__ import annotations

import numpy as np
import pytest

from harmbench import Context, UsageError
from harmbench.testing import parametrize_with_checks
from harmbench_median_align.method import MedianAlign


@parametrize_with_checks(["median-align", "median-align[weight=0.0]"])
def test_median_align_conforms(check):
    check()


def test_without_weight_all_medians_agree(tiny_table):
    after = MedianAlign(weight=0.0).fit(tiny_table, Context()).transform(tiny_table)
    for maker in after.manufacturers:
        rows = after.values[after.manufacturer == maker]
        np.testing.assert_allclose(np.median(rows, axis=0), np.median(tiny_table.values, axis=0))


def test_as_many_rows_as_the_weight_move_half_of_the_way(tiny_table):
    rows = int((tiny_table.manufacturer == "GE").sum())
    half = MedianAlign(weight=rows).fit(tiny_table, Context()).shift["GE"]
    all_of_it = MedianAlign(weight=0.0).fit(tiny_table, Context()).shift["GE"]
    np.testing.assert_allclose(half, all_of_it / 2)


def test_a_negative_weight_is_refused():
    with pytest.raises(UsageError, match="at least 0"):
        MedianAlign(weight=-1.0)
