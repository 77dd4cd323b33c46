"""Decoding one image file to a plain 2-D array: what each format may hold, and what is refused rather than guessed."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from harmbench.errors import DataError

PILLOW_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
ITK_SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr")
FORMATS = "PNG, JPEG, TIFF, NIfTI (.nii, .nii.gz), MHA, MHD or NRRD"

_LUMA = (0.299, 0.587, 0.114)
_EXIF_ORIENTATION = 0x0112
_TIFF_BITS_PER_SAMPLE = 258
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
    Pillow.DecompressionBombError,
)


@dataclass(frozen=True)
class Grey:
    """Grey levels of one file.

    Parameters
    ----------
    values : array (H, W), any real dtype
        As stored. Colour is turned to luma (ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B) unless R = G = B everywhere,
        which keeps the grey value itself.
    spacing : (float, float) or None
        mm per row and per column as the file says; None for PNG, JPEG and TIFF, whose resolution tags describe
        paper and screens, not tissue.
    """

    values: npt.NDArray[Any]
    spacing: tuple[float, float] | None


def kind_of(name: str) -> str:
    """One of "pillow", "itk", or "" when the name's ending is of no format that is read."""
    lower = name.lower()
    if lower.endswith(PILLOW_SUFFIXES):
        return "pillow"
    return "itk" if lower.endswith(ITK_SUFFIXES) else ""


def decode(path: Path, shown: str) -> Grey:
    """Read one image file.

    Parameters
    ----------
    path : Path
    shown : str
        What errors call the file (the reference in the manifest, never an absolute path).

    Raises
    ------
    DataError
        The file is corrupt or truncated, holds several slices or pages, transparency, or a pixel type that could
        only be read by guessing.
    """
    return _decode_pillow(path, shown) if kind_of(path.name) == "pillow" else _decode_itk(path, shown)


def luma(colour: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Grey of (H, W, 3) colour: the common value where R = G = B throughout, else BT.601 luma as float64."""
    red, green, blue = (colour[..., k] for k in range(3))
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return red
    return _LUMA[0] * red.astype(np.float64) + _LUMA[1] * green + _LUMA[2] * blue


def _decode_pillow(path: Path, shown: str) -> Grey:
    data = path.read_bytes()
    try:
        with Pillow.open(io.BytesIO(data), formats=("PNG", "JPEG", "TIFF")) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise DataError(
                    f"the file holds {getattr(image, 'n_frames', 1)} pages; one image is expected.",
                    file=shown,
                    remedy="Save the page to analyse as a file of its own.",
                )
            _refuse_lossy(image, data, shown)
            image.load()
            return Grey(_pillow_values(image, shown), None)
    except UnidentifiedImageError as error:
        raise DataError(
            "the file is not a PNG, JPEG or TIFF image, whatever its name says.",
            file=shown,
            remedy="Export it again, or correct the name in the manifest.",
        ) from error
    except _BROKEN as error:
        raise DataError(
            f"the image cannot be decoded ({type(error).__name__}: {error}); it is corrupt or cut off.",
            file=shown,
            remedy="Copy or export it again.",
        ) from error


def _refuse_lossy(image: Pillow.Image, data: bytes, shown: str) -> None:
    """Refuse what Pillow would silently change: 16-bit colour loses its lower byte, EXIF rotation is not applied."""
    deep_png = image.format == "PNG" and len(data) > 25 and data[24] == 16 and data[25] in (2, 4, 6)
    bits = getattr(image, "tag_v2", {}).get(_TIFF_BITS_PER_SAMPLE, ())
    deep_tiff = isinstance(bits, tuple) and len(bits) > 1 and max(bits) > 8
    if deep_png or deep_tiff:
        raise DataError(
            "16-bit colour (or 16-bit grey with transparency) would lose its lower 8 bits when read.",
            file=shown,
            remedy="Save it as 16-bit grey.",
        )
    turned = image.getexif().get(_EXIF_ORIENTATION, 1)
    if turned not in (0, 1):
        raise DataError(
            f"the image asks to be shown turned (EXIF orientation {turned}); its mask may or may not be.",
            file=shown,
            remedy="Save it upright, without an orientation tag.",
        )


def _pillow_values(image: Pillow.Image, shown: str) -> npt.NDArray[Any]:
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            raise DataError(
                "the image is partly transparent, so its grey levels depend on a background that is not in the file.",
                file=shown,
                remedy="Flatten it (remove the alpha channel) and save it again.",
            )
        image = image.convert("RGB")
    elif image.mode == "P":
        image = image.convert("RGB")
    if image.mode == "RGB":
        return luma(np.asarray(image))
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        return np.asarray(image)
    raise DataError(
        f"pixels of mode {image.mode} are not grey levels.", file=shown, remedy="Save the image as grey or RGB."
    )


def _decode_itk(path: Path, shown: str) -> Grey:
    import SimpleITK as sitk

    if path.name.lower().endswith((".nii", ".nii.gz")):
        _require_whole_nifti(path, shown)
    try:
        volume = sitk.ReadImage(str(path))
    except RuntimeError as error:
        # ITK's own text is not shown: it is a dump of C++ source lines and absolute paths.
        raise DataError(
            f"the image cannot be decoded; it is corrupt, cut off, or not of the format that '{path.suffix}' promises.",
            file=shown,
            remedy="Copy or export it again.",
        ) from error
    values = sitk.GetArrayFromImage(volume)
    spacing = volume.GetSpacing()[::-1]  # ITK counts x first, arrays count it last
    if np.iscomplexobj(values):
        raise DataError("complex pixels are not grey levels.", file=shown, remedy="Save the magnitude image.")
    components = volume.GetNumberOfComponentsPerPixel()
    if components not in (1, 3):
        raise DataError(
            f"the image has {components} values per pixel; 1 (grey) or 3 (RGB) are expected.",
            file=shown,
            remedy="Save it as grey.",
        )
    # Axes of length 1 are slices of a flat volume; a 1-pixel wide 2-D image keeps its axes.
    size = values.shape[: volume.GetDimension()]
    planes = [axis for axis, length in enumerate(size) if length > 1]
    if len(planes) > 2:
        raise DataError(
            f"the image is {' x '.join(str(length) for length in size)} (slices x rows x columns); 2-D is expected.",
            file=shown,
            remedy="Save the slice to analyse as a 2-D image or as a volume of one slice.",
        )
    if len(planes) < 2:
        planes = list(range(len(size)))[-2:]
    keep = tuple(slice(None) if axis in planes else 0 for axis in range(len(size)))
    values = values[keep]
    return Grey(luma(values) if components == 3 else values, (float(spacing[planes[0]]), float(spacing[planes[1]])))


def _require_whole_nifti(path: Path, shown: str) -> None:
    """Raise when a NIfTI file holds fewer pixel bytes than its header promises: ITK would fill up with zeros."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
        order = next((o for o in "<>" if struct.unpack_from(f"{o}i", data)[0] in (348, 540)), "")
        if not order:
            raise ValueError("no NIfTI header")
        # Version 1 and 2 keep number and lengths of axes, bits per value and start of the values at other places.
        dim, bits, start = ("8h", 72, "f") if struct.unpack_from(f"{order}i", data)[0] == 348 else ("8q", 14, "q")
        axes = struct.unpack_from(f"{order}{dim}", data, 40 if dim == "8h" else 16)
        (bits_per_value,) = struct.unpack_from(f"{order}h", data, bits)
        (offset,) = struct.unpack_from(f"{order}{start}", data, 108 if dim == "8h" else 168)
        needed = int(offset) + math.prod(axes[1 : 1 + axes[0]]) * bits_per_value // 8
        if len(data) < needed:
            raise EOFError(f"{len(data)} of {needed} bytes")
    except _BROKEN as error:
        raise DataError(
            f"the image cannot be decoded ({error}); it is corrupt or cut off.",
            file=shown,
            remedy="Copy or export it again.",
        ) from error
