"""Extractor `pyradiomics`: PyRadiomics' own feature classes on 2-D maps, the reference for faster ones.

The values are those of `RadiomicsFeatureExtractor.execute` on a one-slice 3-D float64 image with `force2D=True`,
`force2Ddimension=0`. Its feature classes are called directly, on a crop to the mask, so that what depends on the mask
alone (checks, crop, shape) is done once per mask, and grey levels are binned once per map instead of once per class.

Three things decide whether numbers are right, and none of them gives a warning when it is wrong:

- a truly 2-D image with `force2Ddimension=0` loses its row axis (71 of 75 texture features change): hence one slice;
- bin edges take the image's type: float32 moves pixels to other levels, and uint8 wraps around: hence float64;
- a feature that raises inside PyRadiomics becomes NaN with a line in the log: hence the check of every value.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import SimpleITK as sitk
from radiomics import firstorder, glcm, gldm, glrlm, glszm, imageoperations, ngtdm, shape2D
from radiomics.base import RadiomicsFeaturesBase

from harmbench.components import Context
from harmbench.data import FEATURE_CLASSES, SHAPE_PREFIX, Features, FilteredImage, Floats
from harmbench.errors import DataError, PluginError, UsageError
from harmbench_builtin.extractors.fast2d.settings import Settings

MAX_LEVELS = 4096
"""GLCM tables hold levels x levels x 4 float64: 0.5 GB here; far more levels mean a bin width in the wrong unit."""

_LEVELS = "harmbench_levels"


class _BinnedOnce(RadiomicsFeaturesBase):
    """A feature class that finds the binned image in its settings instead of binning it again."""

    def _applyBinning(self, matrix: Any) -> Any:
        levels, present = self.settings[_LEVELS]
        self.coefficients["grayLevels"] = present
        self.coefficients["Ng"] = int(present[-1])
        return levels.copy()


def _binned_once(original: type) -> type:
    # In the method resolution order _BinnedOnce stands between the feature class and PyRadiomics' base.
    # PyRadiomics names the logger of a class by its module; keep it among those that `_quiet` silences.
    return type(original.__name__, (original, _BinnedOnce), {"__module__": original.__module__})


_CLASSES: dict[str, Any] = {
    "firstorder": _binned_once(firstorder.RadiomicsFirstOrder),
    "glcm": _binned_once(glcm.RadiomicsGLCM),
    "glrlm": _binned_once(glrlm.RadiomicsGLRLM),
    "glszm": _binned_once(glszm.RadiomicsGLSZM),
    "gldm": _binned_once(gldm.RadiomicsGLDM),
    "ngtdm": _binned_once(ngtdm.RadiomicsNGTDM),
}
_SHAPE: Any = shape2D.RadiomicsShape2D


def _names_of(feature_class: Any) -> tuple[str, ...]:
    return tuple(name for name, deprecated in feature_class.getFeatureNames().items() if not deprecated)


TEXTURE_NAMES = tuple((c, name) for c in FEATURE_CLASSES for name in _names_of(_CLASSES[c]))
"""(class, feature) of the 93 features of a map, in the order of the columns."""
SHAPE_NAMES = _names_of(_SHAPE)
"""The 9 features of a mask."""


class PyRadiomics:
    """First order, GLCM, GLRLM, GLSZM, GLDM and NGTDM of every map (93 features), shape2D of every mask (9).

    Parameters
    ----------
    bin_count : int, default 32
        Grey levels between the smallest and the largest value inside the mask, 2 to 4096 (PyRadiomics' `binCount`).
    bin_width : float, default 0.0
        When above 0, levels are this wide instead, in the map's own units, and `bin_count` is not used
        (PyRadiomics' `binWidth`: edges are multiples of the width).
    shape : bool, default True
        Whether the mask's features are given too. They are in mm where the spacing is known, else in pixels.
    distance : int, default 1
        Pixels between neighbours in GLCM, GLDM and NGTDM.
    symmetrical_glcm : bool, default True

    Raises
    ------
    UsageError
        A parameter is out of range.

    References
    ----------
    van Griethuysen et al., Cancer Res 77:e104 (2017), 10.1158/0008-5472.CAN-17-0339
    """

    def __init__(
        self,
        bin_count: int = 32,
        bin_width: float = 0.0,
        shape: bool = True,
        distance: int = 1,
        symmetrical_glcm: bool = True,
    ) -> None:
        if not isinstance(shape, bool):
            raise UsageError(f"shape={shape!r} must be true or false.")
        checked = Settings(bin_count, bin_width, distance, symmetrical_glcm)
        if bin_count > MAX_LEVELS:
            raise UsageError(f"bin_count={bin_count} must be a whole number from 2 to {MAX_LEVELS}.")
        self.bin_count, self.bin_width = bin_count, checked.bin_width
        self.shape, self.distance, self.symmetrical_glcm = shape, distance, symmetrical_glcm

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that give the same features with `RadiomicsFeatureExtractor`."""
        binning = {"binWidth": self.bin_width} if self.bin_width > 0 else {"binCount": self.bin_count}
        return {
            **binning,
            "force2D": True,
            "force2Ddimension": 0,
            "distances": [self.distance],
            "symmetricalGLCM": self.symmetrical_glcm,
            "label": 1,
            "additionalInfo": False,
        }

    def extract(self, images: Sequence[FilteredImage], context: Context) -> Features:
        """One row per image: shape2D first (when asked for), then 93 features for each map in order.

        Pixels outside the mask have no influence and may be NaN.

        Raises
        ------
        DataError
            The mask is less than 2 pixels high or wide, or no larger than `distance`; a pixel inside it is not
            finite; the bin width would make more than `MAX_LEVELS` levels; a feature is not finite.
        PluginError
            The images do not have the same maps.
        """
        if not images:
            return Features((), (), np.empty((0, 0)))
        maps = images[0].names
        for image in images:
            if image.names != maps:
                raise PluginError(
                    f"sample '{image.sample}' has the maps {', '.join(image.names)}, sample '{images[0].sample}' "
                    f"{', '.join(maps)}; an image harmonizer must give every image the same maps."
                )
        with _quiet():
            values = np.stack([self._row(image) for image in images])
        return Features(tuple(image.sample for image in images), self.names(maps), values)

    def names(self, maps: Sequence[str]) -> tuple[str, ...]:
        """The columns for maps of these names."""
        shape = tuple(f"{SHAPE_PREFIX}{name}" for name in SHAPE_NAMES) if self.shape else ()
        return shape + tuple(f"{m}_{c}_{name}" for m in maps for c, name in TEXTURE_NAMES)

    def _row(self, image: FilteredImage) -> Floats:
        box = _bounding_box(image)
        spacing = image.spacing or (1.0, 1.0)
        inside = image.mask[box]
        if self.distance >= max(inside.shape):
            raise DataError(
                f"sample '{image.sample}': no two pixels of the mask are {self.distance} apart along a row or column "
                f"(it spans {inside.shape[0]} x {inside.shape[1]} pixels).",
                remedy="Choose a smaller distance.",
            )
        mask = _slice(inside.astype(np.uint8), spacing)
        parts = []
        if self.shape:
            shape = _SHAPE(mask, mask, **self.settings).execute()
            parts.append(_finite([shape[name] for name in SHAPE_NAMES], SHAPE_NAMES, image, "the mask"))
        for name, values in zip(image.names, image.maps, strict=True):
            # The float64 crop is what decides the bin edges; never hand PyRadiomics another type.
            crop = np.ascontiguousarray(values[box], dtype=np.float64)
            parts.append(self._map(crop, inside, mask, spacing, image, name))
        return np.concatenate(parts)

    def _map(
        self, crop: Floats, inside: Any, mask: sitk.Image, spacing: tuple[float, float], image: FilteredImage, name: str
    ) -> Floats:
        """The 93 features of one map."""
        values = crop[inside]
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            raise DataError(
                f"sample '{image.sample}', map '{name}': {bad} of {values.size} pixels inside the mask are NaN or "
                "infinite.",
                remedy="Repair the image or the filter that made the map.",
            )
        if self.bin_width > 0 and (values.max() - values.min()) / self.bin_width >= MAX_LEVELS:
            raise DataError(
                f"sample '{image.sample}', map '{name}': values from {values.min():g} to {values.max():g} in bins of "
                f"{self.bin_width:g} make more than {MAX_LEVELS} grey levels.",
                remedy="Choose a larger bin_width, or bin_count for maps of differing range.",
            )
        try:
            levels, _ = imageoperations.binImage(crop[None], inside[None], **self.settings)
        except ValueError as error:
            raise DataError(
                f"sample '{image.sample}', map '{name}': values from {values.min():g} to {values.max():g} cannot be "
                f"parted into grey levels ({error}).",
                remedy="Subtract the large constant that the values carry, or choose fewer levels.",
            ) from error
        settings = {**self.settings, _LEVELS: (levels, np.unique(levels[inside[None]]))}
        pixels = _slice(crop, spacing)
        found = {c: feature_class(pixels, mask, **settings).execute() for c, feature_class in _CLASSES.items()}
        labels = [f"{c}_{feature}" for c, feature in TEXTURE_NAMES]
        return _finite([found[c][feature] for c, feature in TEXTURE_NAMES], labels, image, f"map '{name}'")


def _slice(values: Any, spacing: tuple[float, float]) -> sitk.Image:
    """A one-slice volume; slices are 1 mm apart, so that a voxel's volume is its pixel's area."""
    volume = sitk.GetImageFromArray(values[None])
    volume.SetSpacing((spacing[1], spacing[0], 1.0))
    return volume


def _bounding_box(image: FilteredImage) -> tuple[slice, slice]:
    box = []
    for axis, what in ((1, "high"), (0, "wide")):
        at = np.flatnonzero(image.mask.any(axis=axis))
        if at.size == 0:
            raise DataError(f"sample '{image.sample}': the mask is empty.", remedy="Draw it, or leave the sample out.")
        first, last = int(at[0]), int(at[-1]) + 1
        if last - first < 2:
            raise DataError(
                f"sample '{image.sample}': the mask is 1 pixel {what} ({int(image.mask.sum())} pixels in all); "
                "PyRadiomics needs at least 2 rows and 2 columns.",
                remedy="Draw a larger region, or leave the sample out.",
            )
        box.append(slice(first, last))
    return box[0], box[1]


def _finite(values: Sequence[Any], names: Sequence[str], image: FilteredImage, where: str) -> Floats:
    row = np.array([float(value) for value in values])
    bad = [name for name, value in zip(names, row, strict=True) if not math.isfinite(value)]
    if bad:
        shown = ", ".join(bad[:8]) + (f" and {len(bad) - 8} more" if len(bad) > 8 else "")
        raise DataError(
            f"sample '{image.sample}', {where}: features without a finite value: {shown} "
            f"({int(image.mask.sum())} pixels in the mask).",
            remedy="The region is too small or too thin for them, or the map's values are extreme; leave the sample "
            "out or draw a larger region.",
        )
    return row


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyRadiomics off stderr: every value is checked here, so its warnings tell nothing more."""
    logger = logging.getLogger("radiomics")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
