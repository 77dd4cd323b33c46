"""Where images to pretrain on come from: the phantom, a data set, a folder.

One rule brings images of any size to the same square: the longer side is resized to `size` (bilinear with
anti-aliasing), the shorter side keeps the proportion, and the rest is filled with black on both sides. Nothing is cut
off; the filling is not part of the sector, so it is neither hidden nor scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from harmbench.data import ImageSet
from harmbench.errors import DataError, HarmbenchError
from harmbench.progress import ProgressFunction, no_progress
from harmbench.seen import content_id, patient_id, scope_of
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.model import CELL
from harmbench_builtin.pretrain.stack import Bytes, Stack, StackFull
from harmbench_builtin.sector import find_sector

SIZE = 224
IN_MEMORY = 4 * 2**30
"""Bytes of images and sectors above which they are written to files and mapped from there."""
FOLDER_TYPES = (".png", ".jpg", ".jpeg")


def from_phantom(
    count: int,
    seed: int = 0,
    *,
    size: int = SIZE,
    n_jobs: int = 1,
    progress: ProgressFunction = no_progress,
    pairs: bool = False,
    scanners: str = "virtual",
) -> PretrainingImages:
    """Simulated echo images of random virtual scanners, or of a mix of named ones.

    Parameters
    ----------
    count, seed : int
    size : int
        Side in pixels.
    pairs : bool
        Also each heart on a second scanner, in the same place; the first images are the same with and without.
    scanners : str
        A mix such as "virtual" or "GE-like:4,Philips-like:1", see `plax_phantom.virtual.scanner_mix`.
    """
    from harmbench_builtin.datasets.plax_phantom import virtual

    other = None
    if pairs:
        both, sector = virtual.paired_virtual_scanner_images(
            count, seed, n_jobs, progress, size=size, scanners=scanners
        )
        pixels, other = np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])
    else:
        pixels, sector = virtual.virtual_scanner_images(count, seed, n_jobs, progress, size=size, scanners=scanners)
    named = "" if scanners == virtual.VIRTUAL else f"/{scanners}"
    return PretrainingImages(
        name="plax-phantom",
        pixels=pixels,
        sector=sector,
        ids=tuple(f"plax-phantom/virtual-scanners/seed-{seed}{named}/{i}" for i in range(count)),
        synthetic=True,
        licence="Apache-2.0",
        origin={
            "generator": f"plax_phantom.virtual.{'paired_' if pairs else ''}virtual_scanner_images",
            "seed": seed,
            "count": count,
            **({"scanners": scanners} if named else {}),
        },
        # A scope of its own: these hearts are drawn from another stream of random numbers than those of any cohort.
        patient_ids=tuple(patient_id(f"plax-phantom virtual-scanners seed {seed}", f"heart-{i}") for i in range(count)),
        content_ids=tuple(map(content_id, pixels)),
        pixels_b=other,
        sector_b=None if other is None else sector,
        content_ids_b=() if other is None else tuple(map(content_id, other)),
    )


def from_image_set(
    images: ImageSet,
    *,
    size: int = SIZE,
    progress: ProgressFunction = no_progress,
    files: Path | None = None,
    in_memory: int = IN_MEMORY,
) -> PretrainingImages:
    """The images of a data set, labels and masks unused. What cannot be read is left out and named.

    Parameters
    ----------
    images : ImageSet
    size : int
    progress : callable
    files : Path, optional
        Folder for the images when they take more than `in_memory` bytes; they are mapped from there. None: memory.
    in_memory : int
    """
    scope = scope_of(images)
    readers = (
        (s.id, patient_id(scope, s.patient) if s.patient else b"", lambda i=i: images.read(i).pixels)
        for i, s in enumerate(images.samples)
    )
    return _collected(
        readers,
        len(images),
        images.name,
        size,
        progress,
        synthetic=images.synthetic,
        source=f"data set '{images.name}'",
        files=files,
        in_memory=in_memory,
    )


def from_folder(
    folder: str | Path,
    *,
    size: int = SIZE,
    progress: ProgressFunction = no_progress,
    files: Path | None = None,
    in_memory: int = IN_MEMORY,
) -> PretrainingImages:
    """All PNG and JPEG images in a folder and its subfolders. What cannot be read is left out and named.

    Parameters as in `from_image_set`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError("there is no such folder.", file=folder, remedy="Give a folder of PNG or JPEG images.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in FOLDER_TYPES and path.is_file())
    readers = ((path.relative_to(folder).as_posix(), b"", lambda path=path: _read_file(path)) for path in found)
    return _collected(
        readers,
        len(found),
        folder.name,
        size,
        progress,
        synthetic=False,
        source=str(folder),
        files=files,
        in_memory=in_memory,
    )


def _read_file(path: Path) -> npt.NDArray[Any]:
    from PIL import Image as Picture

    from harmbench_builtin.datasets.pixels import luma

    with Picture.open(path) as picture:
        # Sixteen-bit grey has modes of its own, which a conversion would clip to white.
        if picture.mode in ("L", "I", "F") or picture.mode[:2] == "I;":
            return np.asarray(picture)
        # Colour becomes grey as it does in a run, so that the run recognises the image.
        return luma(np.asarray(picture.convert("RGB")))


def _collected(
    readers: Iterable[tuple[str, bytes, Callable[[], npt.NDArray[Any]]]],
    total: int,
    name: str,
    size: int,
    progress: ProgressFunction,
    *,
    synthetic: bool,
    source: str,
    files: Path | None,
    in_memory: int,
) -> PretrainingImages:
    stack = Stack(size, files if 2 * total * size**2 > in_memory else None)
    ids: list[str] = []
    patients: list[bytes] = []
    contents: list[bytes] = []
    skipped: list[tuple[str, str]] = []
    for done, (id_, patient, read) in enumerate(readers, 1):
        try:
            grey = read()
            square = to_square(grey, size)
            sector = find_sector(square)
            if not sector.any() or square[sector].min() == square[sector].max():
                raise DataError("the image is black or of one grey level throughout.")
            content = content_id(grey)
            stack.add(square, sector)
            ids.append(id_)
            patients.append(patient)
            contents.append(content)
        except StackFull:
            raise
        except (HarmbenchError, OSError, ValueError, SyntaxError) as error:
            # One bad file among thousands must not cost the training; it is counted and named in the result.
            skipped.append((id_, str(error)))
        except Exception as error:
            if type(error).__name__ != "DecompressionBombError":  # pillow's own type, not importable without pillow
                raise
            skipped.append((id_, str(error)))
        progress("read images", done, total)
    if not ids:
        first = f" The first: {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise DataError(
            f"no usable image in {source}; {len(skipped)} could not be used.{first}",
            remedy=f"Needed: {', '.join(FOLDER_TYPES)} files or a data set, at least {CELL} pixels a side, not black.",
        )
    pixels, sectors = stack.arrays()
    return PretrainingImages(
        name,
        pixels,
        sectors,
        tuple(ids),
        synthetic=synthetic,
        skipped=tuple(skipped),
        patient_ids=tuple(patients),
        content_ids=tuple(contents),
    )


def to_square(pixels: npt.NDArray[Any], size: int) -> Bytes:
    """One image as uint8 (size, size), by the rule at the top of this module.

    Grey levels within 0 to 255 are kept; others (16 bit, Hounsfield units) are scaled so that the image's smallest
    becomes 0 and its largest 255.

    Raises
    ------
    DataError
        For an image that is not (H, W), has a side below 32 pixels, or holds NaN or infinite values.
    """
    if pixels.ndim != 2:
        raise DataError(f"the image has shape {pixels.shape}; it must be grey, (H, W).")
    rows, columns = pixels.shape
    if min(rows, columns) < CELL:
        raise DataError(f"the image has {rows} x {columns} pixels; at least {CELL} a side are needed.")
    grey = np.asarray(pixels, dtype=np.float32)
    low, high = float(grey.min()), float(grey.max())
    if not np.isfinite([low, high]).all():
        raise DataError("the image holds NaN or infinite values.")
    if low < 0 or high > 255:
        grey = (grey - low) * (255.0 / (high - low)) if high > low else np.zeros_like(grey)
    scale = size / max(rows, columns)
    shape = (max(1, round(rows * scale)), max(1, round(columns * scale)))
    if shape != (rows, columns):
        tensor = torch.from_numpy(np.ascontiguousarray(grey))[None, None]
        grey = F.interpolate(tensor, shape, mode="bilinear", antialias=True, align_corners=False)[0, 0].numpy()
    square = np.zeros((size, size), dtype=np.uint8)
    top, left = (size - shape[0]) // 2, (size - shape[1]) // 2
    square[top : top + shape[0], left : left + shape[1]] = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return square
