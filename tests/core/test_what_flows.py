from __future__ import annotations

import numpy as np
import pytest

from harmbench.data import FeatureTable, FilteredImage, Image, concatenate, map_of


def test_a_mask_whose_true_is_stored_as_255_becomes_a_sound_one():
    odd = np.array([[0, 255], [255, 0]], np.uint8).view(bool)
    image = Image("s", np.zeros((2, 2), np.float32), odd)
    assert image.mask.view(np.uint8).tolist() == [[0, 1], [1, 0]]


def test_maps_names_and_mask_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="sample 's'"):
        FilteredImage("s", np.zeros((2, 3, 3)), ("one",), np.ones((3, 3), bool))


def table(n: int = 3, **more) -> FeatureTable:
    ids = np.array([f"s{i}" for i in range(n)])
    return FeatureTable(np.arange(2.0 * n).reshape(n, 2), ("a", "b"), ids, ids, ids, **more)


def test_columns_of_another_length_are_refused_and_named():
    with pytest.raises(ValueError, match="covariate 'age'"):
        table(covariates={"age": np.zeros(2)})
    with pytest.raises(ValueError, match="label"):
        table(label=np.zeros(4, int))


def test_rows_columns_and_concatenation_keep_what_belongs_together():
    whole = table(4, label=np.array([0, 1, 0, 1]), covariates={"age": np.arange(4.0)})
    part = whole.rows(np.array([2, 0]))
    assert part.samples.tolist() == ["s2", "s0"] and part.label.tolist() == [0, 0]
    assert part.covariates["age"].tolist() == [2.0, 0.0] and part.values.tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert whole.columns(np.array([True, False])).features == ("a",)
    both = concatenate([whole.rows(np.array([0])), part])
    assert both.samples.tolist() == ["s0", "s2", "s0"] and both.label.tolist() == [0, 0, 0]
    assert concatenate([whole, whole.with_label(None)]).label is None


@pytest.mark.parametrize(
    ("feature", "name"), [("k07_glcm_Contrast", "k07"), ("my_map_firstorder_Mean", "my_map"), ("shape2D_Area", "")]
)
def test_the_map_of_a_feature_is_read_from_its_name(feature, name):
    assert map_of(feature) == name
