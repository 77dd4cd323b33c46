"""Random hearts on scanners that nobody makes: images for pretraining."""

from __future__ import annotations

import numpy as np

from harmbench.progress import ProgressFunction, no_progress
from harmbench_builtin.datasets.plax_phantom.acquisition import (
    VIRTUAL_HALF_ANGLE_DEG,
    VIRTUAL_REACH_MM,
    draw_exam,
    random_profile,
)
from harmbench_builtin.datasets.plax_phantom.anatomy import CLASSES, draw_anatomy
from harmbench_builtin.datasets.plax_phantom.imaging import acquire
from harmbench_builtin.datasets.plax_phantom.render import Masks, Pictures, spread
from harmbench_builtin.datasets.plax_phantom.streams import generator
from harmbench_builtin.datasets.plax_phantom.tissue import draw_scatterers, draw_tissue

CHUNK = 8
"""Images per task; keeps the cost of handing over small and the progress bar alive."""


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

    Each scanner's profile is uniform in `acquisition.RANGES`. The hearts come from a stream of their own: none of them
    is a heart of any cohort, whatever the seeds.

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
