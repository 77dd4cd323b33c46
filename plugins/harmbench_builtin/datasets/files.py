"""Reading images and masks from files: the reader of every data set whose samples name files under one folder."""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.data import Bools, Image, Sample
from harmbench.errors import DataError
from harmbench_builtin.datasets.pixels import FORMATS, decode, kind_of

FORMAT_VERSION = 1
"""Bumped whenever `FileReader.read` returns other pixels for the same bytes; part of every digest."""

_SHOWN_VALUES = 6


@dataclass(frozen=True)
class FileReader:
    """Finds the image and mask files of samples under one folder.

    Pixels are returned as float32 grey levels as stored, in the file's own row and column order: direction cosines
    (NIfTI, MHA, NRRD) are not applied, so an image and its mask must be stored in the same orientation. In NIfTI and
    the other ITK formats rows are the second axis of the file and columns the first. Integers beyond 2**24 and
    float64 values are rounded to float32.

    In a mask, 0 is outside and any other value inside; more than two different values are refused, because labels of
    several structures or the grey fringe of a JPEG would otherwise join the region unnoticed.

    The spacing of the sample (the manifest's) wins over the spacing stored in the image file.

    Parameters
    ----------
    root : str
        The folder that image and mask references are relative to.
    allow_outside : bool, default False
        Whether a reference may lead out of `root` (by "..", an absolute path, or a symbolic link).
    """

    root: str
    allow_outside: bool = False

    def read(self, sample: Sample) -> Image:
        """Pixels and mask of one sample.

        Raises
        ------
        DataError
            A file is missing, unreadable or outside the root; the mask does not fit, is empty, covers the whole
            image or has more than two values; pixels inside the mask are not finite.
        """
        image = decode(self.locate(sample.image, "image"), sample.image)
        mask = binary_mask(decode(self.locate(sample.mask, "mask"), sample.mask).values, sample.mask)
        if image.values.shape != mask.shape:
            raise DataError(
                f"the mask is {_size(mask)} pixels (rows x columns), the image '{sample.image}' {_size(image.values)}.",
                file=sample.mask,
                remedy="Draw or export the mask on the same pixel grid as the image.",
            )
        # A float64 beyond float32 becomes inf here, and is reported as such below.
        with np.errstate(over="ignore"):
            pixels = np.ascontiguousarray(image.values, dtype=np.float32)
        bad = int(np.count_nonzero(~np.isfinite(pixels[mask])))
        if bad:
            raise DataError(
                f"{bad} of {int(mask.sum())} pixels inside the mask are NaN or infinite.",
                file=sample.image,
                remedy="Repair the image, or leave these pixels out of the mask.",
            )
        return Image(sample.id, pixels, mask, sample.spacing or _checked_spacing(image.spacing, sample.image))

    def digest(self, sample: Sample) -> str:
        """SHA-256 over the bytes of all files of the sample, its spacing, and the version of the reading rules."""
        total = hashlib.sha256(f"harmbench-file-reader {FORMAT_VERSION} {sample.spacing!r}".encode())
        for reference, what in ((sample.image, "image"), (sample.mask, "mask")):
            path = self.locate(reference, what)
            for part in (path, *self._companions(path, reference)):
                data = part.read_bytes()
                total.update(f" {what} {kind_of(path.name)} {len(data)} ".encode())
                total.update(data)
        return total.hexdigest()

    def locate(self, reference: str, what: str) -> Path:
        """Where a reference leads, after every check that needs no decoding.

        Raises
        ------
        DataError
            Outside the root, missing, a folder, not readable, empty, or of an unknown format.
        """
        path = self._inside(reference, what)
        if not kind_of(path.name) and not kind_of(reference):
            raise DataError(f"the {what} is of no known format.", file=reference, remedy=f"Use {FORMATS}.")
        if not path.exists():
            slashes = " It is written with backslashes; use '/'." if "\\" in reference else ""
            raise DataError(
                f"the {what} file does not exist.",
                file=reference,
                remedy=f"Paths are relative to the data folder; letter case counts.{slashes}",
            )
        if not path.is_file():
            raise DataError(f"the {what} is not a file.", file=reference, remedy="Name one image file.")
        if not os.access(path, os.R_OK):
            raise DataError(f"the {what} may not be read.", file=reference, remedy="Give yourself read permission.")
        if path.stat().st_size == 0:
            raise DataError(f"the {what} file is empty (0 bytes).", file=reference, remedy="Copy or export it again.")
        self._companions(path, reference)
        return path

    def _inside(self, reference: str, what: str) -> Path:
        # The name's ending is judged on the link, the root on what the link leads to.
        path = Path(self.root, reference)
        real, root = os.path.realpath(path), os.path.realpath(self.root)
        if not self.allow_outside and not Path(real).is_relative_to(root):
            raise DataError(
                f"the {what} lies outside the data folder.",
                file=reference,
                remedy="Move it there, or set allow_outside=true if you trust the manifest.",
            )
        return path

    def _companions(self, path: Path, reference: str) -> tuple[Path, ...]:
        """The pixel files that an MHD or NRRD header refers to (they too must stay inside the root)."""
        name = path.name.lower()
        if name.endswith((".mha", ".mhd")):
            pattern, local = rb"^ElementDataFile\s*=\s*(.+?)\s*$", {"LOCAL"}
        elif name.endswith((".nrrd", ".nhdr")):
            pattern, local = rb"^data ?file:\s*(.+?)\s*$", set[str]()
        else:
            return ()
        with path.open("rb") as stream:
            header = stream.read(1 << 16)
        if name.endswith((".nrrd", ".nhdr")):
            header = re.split(rb"\r?\n\r?\n", header, maxsplit=1)[0]
        found = re.search(pattern, header, re.MULTILINE | re.IGNORECASE)
        if found is None or (target := found.group(1).decode("utf-8", "replace")) in local:
            return ()
        if target.upper().startswith("LIST") or "%" in target:
            raise DataError(
                "the header refers to a list of pixel files; a single image is expected.",
                file=reference,
                remedy="Save the slice to analyse as one file.",
            )
        shown = str(Path(reference).parent / target)
        companion = self._inside(shown, "pixel file of the header")
        if not companion.is_file():
            raise DataError(
                f"the header refers to the pixel file '{target}', which does not exist.",
                file=reference,
                remedy="Copy it beside the header.",
            )
        return (companion,)


def binary_mask(values: npt.NDArray[Any], file: str) -> Bools:
    """Inside and outside from stored mask values: 0 is outside, anything else inside.

    Raises
    ------
    DataError
        More than two different values, no value but 0, or no 0 at all.
    """
    if values.dtype == np.bool_:
        mask = values
    else:
        low, high = values.min(), values.max()
        if not ((values == low) | (values == high)).all():
            found = np.unique(values)
            shown = ", ".join(f"{value:g}" for value in found[:_SHOWN_VALUES].tolist())
            more = ", ..." if len(found) > _SHOWN_VALUES else ""
            raise DataError(
                f"the mask has {len(found)} different values ({shown}{more}); two are expected, 0 outside and one "
                "other inside.",
                file=file,
                remedy="Keep one structure and save the mask without loss (PNG or NIfTI, not JPEG).",
            )
        mask = values != 0
    if not mask.any():
        raise DataError(
            "the mask is empty (0 everywhere).", file=file, remedy="Draw the region, or leave the sample out."
        )
    if mask.all():
        raise DataError(
            f"the mask covers the whole image (no pixel is 0; the smallest value is {float(values.min()):g}).",
            file=file,
            remedy="Save the region only, with 0 outside.",
        )
    return np.ascontiguousarray(mask)


def _checked_spacing(spacing: tuple[float, float] | None, file: str) -> tuple[float, float] | None:
    if spacing is not None and not all(math.isfinite(s) and s > 0 for s in spacing):
        raise DataError(
            f"the pixel spacing {spacing[0]:g} x {spacing[1]:g} mm stored in the file is not positive.",
            file=file,
            remedy="Give spacing_row and spacing_col in the manifest.",
        )
    return spacing


def _size(values: npt.NDArray[Any]) -> str:
    return f"{values.shape[0]} x {values.shape[1]}"
