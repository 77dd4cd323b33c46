"""One heart of the cohort to its pictures and masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from harmbench_builtin.datasets.plax_phantom.acquisition import (
    HALF_ANGLE_DEG,
    REACH_MM,
    between,
    draw_exam,
)
from harmbench_builtin.datasets.plax_phantom.anatomy import Anatomy, draw_anatomy
from harmbench_builtin.datasets.plax_phantom.cohort import Member, Parameters, manufacturers
from harmbench_builtin.datasets.plax_phantom.imaging import acquire
from harmbench_builtin.datasets.plax_phantom.streams import generator
from harmbench_builtin.datasets.plax_phantom.tissue import Tissue, draw_scatterers, draw_tissue
from harmbench_builtin.datasets.plax_phantom.view import is_myocardium, label_map

Pictures = npt.NDArray[np.uint8]
Masks = npt.NDArray[np.bool_]
T = TypeVar("T")


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
