"""Random hearts on scanners that nobody makes, or on a mix of named ones: images for pretraining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harmbench.errors import UsageError, suggestion
from harmbench.progress import ProgressFunction, no_progress
from harmbench_builtin.datasets.plax_phantom.acquisition import (
    PROFILES,
    VIRTUAL_HALF_ANGLE_DEG,
    VIRTUAL_REACH_MM,
    Exam,
    Profile,
    draw_exam,
    random_profile,
)
from harmbench_builtin.datasets.plax_phantom.anatomy import CLASSES, draw_anatomy
from harmbench_builtin.datasets.plax_phantom.imaging import acquire
from harmbench_builtin.datasets.plax_phantom.render import Masks, Pictures, spread
from harmbench_builtin.datasets.plax_phantom.streams import generator
from harmbench_builtin.datasets.plax_phantom.tissue import Scatterers, draw_scatterers, draw_tissue

VIRTUAL = "virtual"
"""In a mix of scanners: one that nobody makes, another for each image."""
_MOST = 1000

CHUNK = 8
"""Images per task; keeps the cost of handing over small and the progress bar alive."""


def scanner_mix(text: str) -> tuple[str, ...]:
    """Read a mix of scanners: names with commas between them, each with a weight or none.

    Parameters
    ----------
    text : str
        Such as "virtual", "GE-like", or "GE-like:4,Philips-like:1"; a weight is a whole number, 1 when left out.

    Returns
    -------
    tuple of str
        Every name as often as it weighs. Image i is of scanner i modulo the length, so that the shares are met
        exactly, and the first images of a large set are those of a small one.

    Raises
    ------
    UsageError
        For an unknown name or a wrong weight.
    """
    names: list[str] = []
    for part in text.split(","):
        name, colon, weight = (piece.strip() for piece in part.partition(":"))
        if name not in (VIRTUAL, *PROFILES):
            raise UsageError(f"There is no scanner '{name}'.{suggestion(name, (VIRTUAL, *PROFILES))}")
        if colon and not (weight.isdecimal() and 1 <= int(weight) <= _MOST):
            raise UsageError(f"scanner '{part.strip()}': the weight must be a whole number from 1 to {_MOST}.")
        names += [name] * (int(weight) if colon else 1)
    return tuple(names)


def _scanner(mix: tuple[str, ...], index: int, rng: np.random.Generator) -> Profile:
    name = mix[index % len(mix)]
    return random_profile(rng) if name == VIRTUAL else PROFILES[name]


def _virtual(indices: range, seed: int, size: int, mix: tuple[str, ...]) -> tuple[Pictures, Masks]:
    pictures = np.empty((len(indices), size, size), np.uint8)
    sectors = np.empty((len(indices), size, size), bool)
    for position, index in enumerate(indices):
        scatterers, profile, exam = _heart(seed, index, mix)
        noise = _stream(seed, index)("noise")
        pictures[position], geo = acquire(scatterers, profile, exam, size, noise)
        sectors[position] = geo.sector
    return pictures, sectors


def _virtual_pairs(indices: range, seed: int, size: int, mix: tuple[str, ...]) -> tuple[Pictures, Masks]:
    pictures = np.empty((len(indices), 2, size, size), np.uint8)
    sectors = np.empty((len(indices), size, size), bool)
    for position, index in enumerate(indices):
        rng = _stream(seed, index)
        scatterers, profile, exam = _heart(seed, index, mix)
        pictures[position, 0], geo = acquire(scatterers, profile, exam, size, rng("noise"))
        other, visit = _scanner(mix, index + 1, rng("profile-b")), draw_exam(rng("exam-b"))
        # One window for both, so that a pixel is the same point of the heart.
        other = replace(other, depth_mm=profile.depth_mm, half_angle_deg=profile.half_angle_deg)
        visit = replace(visit, depth_mm=exam.depth_mm)
        pictures[position, 1], same = acquire(scatterers, other, visit, size, rng("noise-b"))
        sectors[position] = geo.sector & same.sector
    return pictures, sectors


def _stream(seed: int, index: int) -> Callable[[str], np.random.Generator]:
    """The generators of one heart, by stage."""

    def rng(stage: str) -> np.random.Generator:
        return generator(seed, "virtual", heart=index, stage=stage)

    return rng


def _heart(seed: int, index: int, mix: tuple[str, ...]) -> tuple[Scatterers, Profile, Exam]:
    """A heart of either class, a scanner, and an examination."""
    rng = _stream(seed, index)
    label = CLASSES[int(rng("label").integers(2))]
    anatomy = draw_anatomy(label, 1.0, rng("anatomy"))
    tissue = draw_tissue(label, 1.0, rng("tissue"))
    half_angle = float(np.deg2rad(VIRTUAL_HALF_ANGLE_DEG))
    scatterers = draw_scatterers(anatomy, tissue, VIRTUAL_REACH_MM, half_angle, rng("scatterers"))
    return scatterers, _scanner(mix, index, rng("profile")), draw_exam(rng("exam"))


def virtual_scanner_images(
    count: int,
    seed: int = 0,
    n_jobs: int = 1,
    progress: ProgressFunction = no_progress,
    size: int = 224,
    scanners: str = VIRTUAL,
) -> tuple[Pictures, Masks]:
    """Random hearts on scanners that nobody makes, or on a mix of named ones, for pretraining.

    The profile of a scanner that nobody makes is uniform in `acquisition.RANGES`. The hearts come from a stream of
    their own: none of them is a heart of any cohort, whatever the seeds.

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
    scanners : str, default "virtual"
        A mix, see `scanner_mix`. The hearts do not depend on it.

    Returns
    -------
    images : uint8 (count, size, size)
        Black outside the sector.
    sectors : bool (count, size, size)
        The sector of each image.
    """
    return _spread(_virtual, (count, size, size), count, seed, n_jobs, progress, size, scanners)


def paired_virtual_scanner_images(
    count: int,
    seed: int = 0,
    n_jobs: int = 1,
    progress: ProgressFunction = no_progress,
    size: int = 224,
    scanners: str = VIRTUAL,
) -> tuple[Pictures, Masks]:
    """Each heart of `virtual_scanner_images` on two scanners that nobody makes, pixel by pixel in the same place.

    The second scanner and examination are drawn independently of the first, except for the window (depth and angle of
    the sector), which is the first one's. In a mix of named scanners the second one is the next of the mix. Scatterers
    are the same; what the two pictures have in common is the heart.

    Parameters
    ----------
    count, seed, n_jobs, progress, size, scanners
        As for `virtual_scanner_images`, whose pictures with the same seed are the first ones here, to the bit.

    Returns
    -------
    images : uint8 (count, 2, size, size)
    sectors : bool (count, size, size)
        The sector, the same for both.
    """
    return _spread(_virtual_pairs, (count, 2, size, size), count, seed, n_jobs, progress, size, scanners)


def _spread(
    make: Callable[[range, int, int, tuple[str, ...]], tuple[Pictures, Masks]],
    shape: tuple[int, ...],
    count: int,
    seed: int,
    n_jobs: int,
    progress: ProgressFunction,
    size: int,
    scanners: str,
) -> tuple[Pictures, Masks]:
    """Make pictures in chunks, on several processes."""
    mix = scanner_mix(scanners)
    pictures = np.empty(shape, np.uint8)
    sectors = np.empty((count, size, size), bool)
    progress("generate", 0, count)
    tasks = [(range(start, min(start + CHUNK, count)), seed, size, mix) for start in range(0, count, CHUNK)]
    for (indices, *_), (images, masks) in zip(tasks, spread(make, tasks, n_jobs), strict=True):
        pictures[indices.start : indices.stop], sectors[indices.start : indices.stop] = images, masks
        progress("generate", indices.stop, count)
    return pictures, sectors
