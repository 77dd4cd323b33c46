"""Simulated images with masks: speckle in a sector, brighter on one scanner than on the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harmbench.data import FilteredImage, Image, ImageSet, Sample
from harmbench.seeding import rng, seed
from harmbench.testing.tables import MANUFACTURERS

HEIGHT, WIDTH = 64, 72
GAIN = {"GE": 1.0, "Philips": 1.4, "Siemens": 0.8}


@dataclass(frozen=True)
class SpeckleReader:
    """Images drawn from the sample's `image`, Rayleigh speckle scaled by the manufacturer's gain.

    Parameters
    ----------
    effect : bool
        Whether manufacturers differ in gain.
    """

    effect: bool = True

    def read(self, sample: Sample) -> Image:
        draw = rng(0, image=sample.image)
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        smooth = 40 + 25 * np.sin(rows / 9 + draw.uniform(0, 6)) * np.cos(columns / 11 + draw.uniform(0, 6))
        pixels = smooth * draw.rayleigh(size=(HEIGHT, WIDTH))
        pixels *= GAIN.get(sample.manufacturer, 1.0) if self.effect else 1.0
        sector = np.abs(columns - WIDTH / 2) < 6 + 0.5 * rows
        mask = ((rows - 40) / 14) ** 2 + ((columns - WIDTH / 2) / 16) ** 2 < 1
        pixels = np.clip(np.round(np.where(sector, pixels, 0)), 0, 255)
        return Image(sample.id, pixels.astype(np.float32), mask, (0.4, 0.4))

    def digest(self, sample: Sample) -> str:
        return f"{seed(0, image=sample.image):08x}-{sample.manufacturer if self.effect else ''}"


def simulate_images(per_manufacturer: dict[str, int], positives: dict[str, int], effect: bool = True) -> ImageSet:
    """An image set; the label has no effect on the pixels.

    Parameters
    ----------
    per_manufacturer : mapping of manufacturer to number of images
    positives : mapping of manufacturer to how many of them have the second label
    effect : bool
        Whether manufacturers differ in gain.
    """
    samples = [
        Sample(
            id=f"{maker}-{i}",
            image=f"{maker}-{i}",
            mask="",
            manufacturer=maker,
            patient=f"p-{maker}-{i}",
            label="HCM" if i < positives[maker] else "HHD",
            covariates={"age": float(50 + i), "sex": "f" if i % 2 else "m"},
            spacing=(0.4, 0.4),
        )
        for maker, n in per_manufacturer.items()
        for i in range(n)
    ]
    return ImageSet("simulated", tuple(samples), SpeckleReader(effect), ("HHD", "HCM"), synthetic=True)


def tiny_images() -> ImageSet:
    """12 images of three manufacturers, both labels in each."""
    return simulate_images(dict.fromkeys(MANUFACTURERS, 4), dict.fromkeys(MANUFACTURERS, 2))


def two_maps(n: int) -> list[FilteredImage]:
    """n images as two maps each: the image, and its difference from the row above."""
    images = tiny_images()
    found = []
    for i in range(n):
        image = images.read(i)
        pixels = image.pixels.astype(np.float64)
        maps = np.stack([pixels, pixels - np.roll(pixels, 1, axis=0)])
        found.append(FilteredImage(image.sample, maps, ("alpha", "beta"), image.mask, image.spacing))
    return found
