"""Hearts to pictures: one heart of a cohort, or many random ones for pretraining."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from harmbench.data import ProgressFunction, no_progress
from harmbench_builtin.datasets.plax_phantom.acquisition import (
    HALF_ANGLE_DEG,
    REACH_MM,
    VIRTUAL_HALF_ANGLE_DEG,
    VIRTUAL_REACH_MM,
    between,
    draw_exam,
    random_profile,
)
from harmbench_builtin.datasets.plax_phantom.anatomy import CLASSES, Anatomy, draw_anatomy
from harmbench_builtin.datasets.plax_phantom.cohort import Member, Parameters, manufacturers
from harmbench_builtin.datasets.plax_phantom.imaging import acquire
from harmbench_builtin.datasets.plax_phantom.streams import generator
from harmbench_builtin.datasets.plax_phantom.tissue import Tissue, draw_scatterers, draw_tissue
from harmbench_builtin.datasets.plax_phantom.view import is_myocardium, label_map

Pictures = npt.NDArray[np.uint8]
Masks = npt.NDArray[np.bool_]
T = TypeVar("T")

CHUNK = 8
"""Virtual images per task; keeps the cost of handing over small and the progress bar alive."""


@dataclass(frozen=True)
class Rendering:
    """One heart on one scanner.

    Parameters
    ----------
    manufacturer : str
    picture : uint8 (size, size)
    mask : bool (size, size)
        LV myocardium inside the sector.
    spacing_mm : float
        Of the square pixels.
    """

    manufacturer: str
    picture: Pictures
    mask: Masks
    spacing_mm: float


@dataclass(frozen=True)
class HeartImages:
    """A heart, what is true of it, and its images; the scored one first."""

    member: Member
    anatomy: Anatomy
    tissue: Tissue
    images: tuple[Rendering, ...]


def render(member: Member, parameters: Parameters) -> HeartImages:
    """All images of one heart of the cohort.

    Parameters
    ----------
    member : Member
        Hearts with a position below ``parameters.paired`` are seen by every scanner.
    parameters : Parameters

    Returns
    -------
    HeartImages
        The same whatever other hearts there are.
    """

    def rng(stage: str, scanner: str = "") -> np.random.Generator:
        return generator(parameters.seed, "cohort", heart=member.index, scanner=scanner, stage=stage)

    anatomy = draw_anatomy(member.label, parameters.anatomy_effect, rng("anatomy"))
    tissue = draw_tissue(member.label, parameters.tissue_effect, rng("tissue"))
    scatterers = draw_scatterers(anatomy, tissue, REACH_MM, float(np.deg2rad(HALF_ANGLE_DEG)), rng("scatterers"))
    others = [m for m in manufacturers(parameters) if m != member.manufacturer]
    images = []
    for name in (member.manufacturer, *(others if member.index < parameters.paired else ())):
        profile = between(parameters.manufacturer_effect, name)
        exam = draw_exam(rng("exam", name))
        picture, geo = acquire(scatterers, profile, exam, parameters.size, rng("noise", name))
        mask = is_myocardium(label_map(anatomy, geo.x, geo.z)) & geo.sector
        images.append(Rendering(name, picture, mask, geo.spacing_mm))
    return HeartImages(member, anatomy, tissue, tuple(images))


def spread(function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], n_jobs: int) -> Iterator[T]:
    """Call a function for each task, in order, on `n_jobs` processes (1: in this one)."""
    if n_jobs == 1 or len(tasks) < 2:
        return (function(*task) for task in tasks)
    return iter(Parallel(n_jobs=n_jobs, return_as="generator")(delayed(function)(*task) for task in tasks))


def _virtual(indices: range, seed: int, size: int) -> tuple[Pictures, Masks]:
    pictures = np.empty((len(indices), size, size), np.uint8)
    sectors = np.empty((len(indices), size, size), bool)
    for position, index in enumerate(indices):

        def rng(stage: str, index: int = index) -> np.random.Generator:
            return generator(seed, "virtual", heart=index, stage=stage)

        label = CLASSES[int(rng("label").integers(2))]
        anatomy = draw_anatomy(label, 1.0, rng("anatomy"))
        tissue = draw_tissue(label, 1.0, rng("tissue"))
        half_angle = float(np.deg2rad(VIRTUAL_HALF_ANGLE_DEG))
        scatterers = draw_scatterers(anatomy, tissue, VIRTUAL_REACH_MM, half_angle, rng("scatterers"))
        profile, exam = random_profile(rng("profile")), draw_exam(rng("exam"))
        pictures[position], geo = acquire(scatterers, profile, exam, size, rng("noise"))
        sectors[position] = geo.sector
    return pictures, sectors


def virtual_scanner_images(
    count: int,
    seed: int = 0,
    n_jobs: int = 1,
    progress: ProgressFunction = no_progress,
    size: int = 224,
) -> tuple[Pictures, Masks]:
    """Random hearts on scanners that nobody makes, for pretraining.

    Each scanner's profile is uniform in `acquisition.RANGES`. The hearts come from a stream of their own: none of them is a
    heart of any cohort, whatever the seeds.

    Parameters
    ----------
    count : int
    seed : int, default 0
    n_jobs : int, default 1
        Processes. The images do not depend on it.
    progress : callable, optional
        progress("generate", done, total)
    size : int, default 224
        Pixels per side.

    Returns
    -------
    images : uint8 (count, size, size)
        Black outside the sector.
    sectors : bool (count, size, size)
        The sector of each image.
    """
    pictures = np.empty((count, size, size), np.uint8)
    sectors = np.empty((count, size, size), bool)
    progress("generate", 0, count)
    tasks = [(range(start, min(start + CHUNK, count)), seed, size) for start in range(0, count, CHUNK)]
    for (indices, *_), (images, masks) in zip(tasks, spread(_virtual, tasks, n_jobs), strict=True):
        pictures[indices.start : indices.stop], sectors[indices.start : indices.stop] = images, masks
        progress("generate", indices.stop, count)
    return pictures, sectors
