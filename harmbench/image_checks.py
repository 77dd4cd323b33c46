"""Checks that need every image to be read: what the reader refuses, images that are there twice, tiny masks."""

from __future__ import annotations

import numpy as np

from harmbench.data import Bools, ImageSet, Sample
from harmbench.errors import DataError
from harmbench.progress import ProgressFunction, no_progress

FEWEST_PIXELS = 10
"""Of a mask. Texture of fewer says nothing, and many features of it are not defined."""


def check_images(image_set: ImageSet, progress: ProgressFunction = no_progress) -> list[DataError]:
    """Read every image once and return every problem, in the order of the samples.

    Besides what the reader refuses, these are reported: masks that are too small to take features from, and two
    samples whose image, mask and spacing are identical.
    """
    problems: list[DataError] = []
    first: dict[str, str] = {}
    for done, sample in enumerate(image_set.samples):
        progress("read", done, len(image_set))
        try:
            mask = image_set.reader.read(sample).mask
            digest = image_set.reader.digest(sample)
        except DataError as error:
            problems.append(error)
            continue
        if small := too_small(mask):
            problems.append(_about_mask(sample, small))
        if digest in first:
            problems.append(
                DataError(
                    f"sample '{sample.id}' has the very pixels and mask of sample '{first[digest]}'.",
                    file=sample.image,
                    remedy="Keep one of them.",
                )
            )
        first.setdefault(digest, sample.id)
    progress("read", len(image_set), len(image_set))
    return problems


def too_small(mask: Bools) -> str:
    """Why no features can be taken from this mask; "" if they can.

    Parameters
    ----------
    mask : bool (H, W)
        Not empty. PyRadiomics refuses one whose bounding box is one pixel high or wide.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    if height < 2 or width < 2:
        return f"the mask is {height} x {width} pixels (rows x columns); at least 2 x 2 are needed"
    if (pixels := int(np.count_nonzero(mask))) < FEWEST_PIXELS:
        return f"the mask has {pixels} pixels; at least {FEWEST_PIXELS} are needed"
    return ""


def _about_mask(sample: Sample, problem: str) -> DataError:
    return DataError(
        f"{problem} (sample '{sample.id}').",
        file=sample.mask or None,
        remedy="Draw the whole region, use an image of finer pixels, or leave the sample out.",
    )
