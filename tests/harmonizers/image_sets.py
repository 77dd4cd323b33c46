"""Small image sets in memory, for tests of image methods."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harmbench.data import Image, ImageSet, Sample


@dataclass(frozen=True)
class Memory:
    """Images by their sample's id."""

    pixels: dict[str, np.ndarray]

    def read(self, sample: Sample) -> Image:
        pixels = self.pixels[sample.id].astype(np.float32)
        mask = np.zeros(pixels.shape, bool)
        mask[10:-10, 10:-10] = True
        return Image(sample.id, pixels, mask, (1.0, 1.0))

    def digest(self, sample: Sample) -> str:
        return hashlib.sha256(self.pixels[sample.id].tobytes()).hexdigest()


def image_set(pictures: Sequence[np.ndarray], manufacturers: Sequence[str] | str = "A") -> ImageSet:
    """One patient a picture; labels alternate. `manufacturers`: a letter for each picture, or one for all."""
    makers = list(manufacturers) * (len(pictures) if len(manufacturers) == 1 else 1)
    samples = tuple(
        Sample(id=f"s{i}", image="", mask="", manufacturer=maker, patient=f"p{i}", label="NP"[i % 2])
        for i, maker in enumerate(makers)
    )
    reader = Memory({sample.id: picture for sample, picture in zip(samples, pictures, strict=True)})
    return ImageSet("memory", samples, reader, ("N", "P"))


def one(pixels: np.ndarray, spacing: tuple[float, float] | None = (1.0, 1.0)) -> Image:
    """A single image."""
    mask = np.zeros(pixels.shape, bool)
    mask[10:-10, 10:-10] = True
    return Image("s0", pixels.astype(np.float32), mask, spacing)


def fan(rows: int = 160, half_angle: float = 40.0) -> tuple[np.ndarray, np.ndarray]:
    """A sector with its apex in the middle of the upper edge, and the distance from the apex in pixels."""
    row, column = np.mgrid[0:rows, 0 : 2 * rows - 1].astype(float)
    column -= rows - 1
    distance = np.hypot(row, column)
    inside = (distance < rows - 4) & (distance > 6) & (np.abs(np.arctan2(column, row)) < np.radians(half_angle))
    return inside, distance
