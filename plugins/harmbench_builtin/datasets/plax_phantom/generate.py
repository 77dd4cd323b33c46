"""Makes many images: a data set in a folder, or arrays for pretraining."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from harmbench.progress import ProgressFunction, no_progress
from harmbench_builtin.datasets.plax_phantom.cohort import Member, Parameters, cohort
from harmbench_builtin.datasets.plax_phantom.folder import (
    GENERATOR,
    IMAGES,
    MANIFEST,
    MASKS,
    PARAMETERS,
    SYNTHETIC,
    new_folder,
)
from harmbench_builtin.datasets.plax_phantom.render import HeartImages, Rendering, render, spread
from harmbench_builtin.datasets.plax_phantom.virtual import virtual_scanner_images

__all__ = ["GENERATOR_VERSION", "NOTES", "digest", "generate", "virtual_scanner_images"]

GENERATOR_VERSION = "1"
"""Bumped whenever the same parameters give other images; the version of the data set's spec follows it."""

NOTES = (
    "Synthetic: no patient and no scanner stands behind these images; scores on them say nothing about clinical use "
    "and must not be set beside those of studies on patients.",
    "The means of wall thickness and cavity are published; the contrast of texture between HCM and HHD and the "
    "scanners' processing are assumptions; grey level and speckle size of the GE-like scanner are fitted to real "
    "images (CAMUS), those of the others to one or two loops or stills.",
    "GE-like, Philips-like and Toshiba-like are orders of magnitude, not a manufacturer's specification.",
)

_COLUMNS = (
    "id",
    "image",
    "mask",
    "manufacturer",
    "patient",
    "label",
    "pair",
    "split",
    "spacing_row",
    "spacing_col",
    "covariate_ivs_mm",
    "covariate_lvpw_mm",
    "covariate_lvidd_mm",
    "covariate_tissue_offset_db",
    "covariate_tissue_heterogeneity_db",
    "covariate_tissue_correlation_mm",
    "covariate_attenuation_db_cm_mhz",
)


def digest(parameters: Parameters) -> str:
    """Hash of everything that determines the images: the parameters and the generator's version."""
    text = json.dumps([GENERATOR_VERSION, parameters.as_dict()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def generate(
    folder: str | Path,
    parameters: Parameters | Mapping[str, Any],
    n_jobs: int = 1,
    progress: ProgressFunction = no_progress,
) -> Path:
    """Make a data set in a new folder, which is then also a data set for `image-folder`.

    Written are `images/*.png` (8 bit), `masks/*.png` (0 and 255), `manifest.csv`, `parameters.json`, `SYNTHETIC.txt`.
    The folder appears under its name when it is complete, and not before.

    Parameters
    ----------
    folder : path
        Must not exist, or be empty.
    parameters : Parameters, or a mapping of its fields
    n_jobs : int, default 1
        Processes. The files do not depend on it.
    progress : callable, optional
        progress("generate", done, total), counted in hearts.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        The folder exists and holds something, or cannot be written.
    UsageError
        A parameter is wrong.
    """
    if not isinstance(parameters, Parameters):
        parameters = Parameters.of(parameters)
    target = Path(folder)
    with new_folder(target) as work:
        for name in (IMAGES, MASKS):
            (work / name).mkdir()
        members = cohort(parameters)
        tasks = [(member, parameters, str(work)) for member in members]
        rows: list[dict[str, str]] = []
        progress("generate", 0, len(members))
        for done, made in enumerate(spread(_make, tasks, n_jobs), start=1):
            rows += made
            progress("generate", done, len(members))
        with (work / MANIFEST).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        record = {"generator": GENERATOR, "version": GENERATOR_VERSION, "parameters": parameters.as_dict()}
        (work / PARAMETERS).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        (work / SYNTHETIC).write_text("\n\n".join((*NOTES, _HOW)) + "\n", encoding="utf-8")
    return target


_HOW = (
    f"Made by harmbench's plax-phantom generator, version {GENERATOR_VERSION}, with the parameters in parameters.json. "
    "Read it with the data set 'image-folder' and positive=HCM. Rows with the split 'paired' show a heart of the "
    "cohort on another scanner; covariates are the truth that the generator drew."
)


def _make(member: Member, parameters: Parameters, folder: str) -> list[dict[str, str]]:
    """Render one heart, write its files, and return its rows of the manifest."""
    heart = render(member, parameters)
    return [
        _write(heart, image, Path(folder), paired="" if position == 0 else "paired")
        for position, image in enumerate(heart.images)
    ]


def _write(heart: HeartImages, image: Rendering, folder: Path, paired: str) -> dict[str, str]:
    member = heart.member
    name = f"{member.patient}_{image.manufacturer.lower()}"
    _save(image.picture, folder / IMAGES / f"{name}.png")
    _save(np.where(image.mask, np.uint8(255), np.uint8(0)), folder / MASKS / f"{name}.png")
    spacing = f"{image.spacing_mm:.6f}"
    values = (
        name,
        f"{IMAGES}/{name}.png",
        f"{MASKS}/{name}.png",
        image.manufacturer,
        member.patient,
        member.label,
        member.patient if len(heart.images) > 1 else "",
        paired,
        spacing,
        spacing,
        f"{heart.anatomy.ivs_mm:.4f}",
        f"{heart.anatomy.lvpw_mm:.4f}",
        f"{heart.anatomy.lvidd_mm:.4f}",
        f"{heart.tissue.offset_db:.4f}",
        f"{heart.tissue.heterogeneity_db:.4f}",
        f"{heart.tissue.correlation_mm:.4f}",
        f"{heart.tissue.attenuation_db_cm_mhz:.5f}",
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _save(pixels: npt.NDArray[np.uint8], path: Path) -> None:
    # Level 4 is about as small as the default and takes half the time.
    Picture.fromarray(pixels).save(path, compress_level=4)
