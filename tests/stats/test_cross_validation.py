"""The corrected resampled t-test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from harmbench.stats.cross_validation import corrected_t


def test_by_hand():
    # Mean 2, variance 1, J = 3; factor 1/3 + 1/4: standard error sqrt(7/12).
    found = corrected_t([1.0, 2.0, 3.0], train=80, test=20)
    assert found.mean == 2.0 and found.standard_error == pytest.approx(math.sqrt(7 / 12))
    assert (found.low + found.high) / 2 == pytest.approx(2.0)
    assert found.high - found.mean == pytest.approx(4.302653 * math.sqrt(7 / 12), rel=1e-6)  # t quantile, 2 df


def test_without_a_test_share_it_is_the_plain_t_test():
    values = np.random.default_rng(0).standard_normal(20) + 0.3
    found, plain = corrected_t(values, train=1e12, test=1), ttest_1samp(values, 0.0)
    assert found.p_value == pytest.approx(plain.pvalue, rel=1e-6)
    assert found.low == pytest.approx(plain.confidence_interval().low, rel=1e-6)


def test_folds_without_any_difference_do_not_differ():
    assert corrected_t(np.zeros(5), 4, 1).p_value == 1.0


def test_sizes_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="two or more folds"):
        corrected_t([0.1], 4, 1)
    with pytest.raises(ValueError, match="train is 0"):
        corrected_t([0.1, 0.2], 0, 1)
