"""Images to pretrain on: grey, square, 8 bit, with the ultrasound sector marked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harmbench.data import Bools
from harmbench.errors import DataError, UsageError
from harmbench.seen import Seen, as_ids
from harmbench_builtin.pretrain.stack import Bytes

_CHUNK = 1024


@dataclass(frozen=True)
class PretrainingImages:
    """Unlabelled images of one size.

    Parameters
    ----------
    name : str
        The data set's name.
    pixels : uint8 (N, H, W)
    sector : bool (N, H, W)
        Where the scanner shows anything.
    ids : tuple of str, length N
    synthetic : bool
    licence : str
    skipped : tuple of (str, str)
        Images that were left out, and why.
    origin : mapping
        Further facts for the model card (seed, generator).
    patient_ids, content_ids : tuple of bytes, length N or 0
        Hashed (`harmbench.seen`), 8 bytes each, of the images as they were read; a patient that is not known has b"".
        An exported kernel file lists them, so that a run can tell whether its test patients were among them.
    pixels_b : uint8 (N, H, W), optional
        Second views: what `pixels` shows as another scanner shows it, pixel by pixel in the same place.
    sector_b : bool (N, H, W), optional
        Of the second views.
    content_ids_b : tuple of bytes, length N or 0
        Of the second views.
    """

    name: str
    pixels: Bytes
    sector: Bools
    ids: tuple[str, ...]
    synthetic: bool = False
    licence: str = "that of the images; ask whoever published them"
    skipped: tuple[tuple[str, str], ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)
    patient_ids: tuple[bytes, ...] = ()
    content_ids: tuple[bytes, ...] = ()
    pixels_b: Bytes | None = None
    sector_b: Bools | None = None
    content_ids_b: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        for name in ("pixels_b", "sector_b"):
            view = getattr(self, name)
            if (view is not None and view.shape != self.pixels.shape) or (view is None) != (self.pixels_b is None):
                raise ValueError(f"{name} {getattr(view, 'shape', None)} does not fit to pixels {self.pixels.shape}")
        for name in ("patient_ids", "content_ids", "content_ids_b"):
            ids = getattr(self, name)
            if len(ids) not in (0, len(self.pixels)):
                raise ValueError(f"{len(self.pixels)} images have {len(ids)} {name}")
        if self.pixels.shape != self.sector.shape or self.pixels.ndim != 3 or len(self.ids) != len(self.pixels):
            raise ValueError(
                f"pixels {self.pixels.shape}, sector {self.sector.shape} and {len(self.ids)} ids do not fit together"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of `pixels / 255` inside the sector.

        Raises
        ------
        DataError
            When no pixel is in a sector or all have one value.
        """
        # A histogram of 256 grey levels gives both exactly and needs no copy of the images.
        counts = np.zeros(256)
        for first in range(0, len(self), _CHUNK):
            part = slice(first, first + _CHUNK)
            counts += np.bincount(self.pixels[part][self.sector[part]], minlength=256)
        levels = np.arange(256) / 255.0
        if np.count_nonzero(counts) < 2:
            raise DataError(
                f"the {len(self)} images of '{self.name}' show nothing: black or of one grey level throughout.",
                remedy="Check that these are the images you meant.",
            )
        mean = float(counts @ levels / counts.sum())
        return mean, float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))

    def digest(self) -> str:
        """A hash of all pixels and sectors."""
        hasher = hashlib.sha256(repr(self.pixels.shape).encode())
        hasher.update(np.ascontiguousarray(self.pixels).data)
        hasher.update(np.packbits(self.sector).data)
        if self.pixels_b is not None and self.sector_b is not None:
            hasher.update(np.ascontiguousarray(self.pixels_b).data)
            hasher.update(np.packbits(self.sector_b).data)
        return hasher.hexdigest()

    def seen(self) -> Seen:
        """The ids of what is trained on, each once."""
        return Seen(as_ids(filter(None, self.patient_ids)), as_ids((*self.content_ids, *self.content_ids_b)))

    def second(self) -> PretrainingImages:
        """The second views as images of their own.

        Raises
        ------
        UsageError
            There are none.
        """
        if self.pixels_b is None or self.sector_b is None:
            raise UsageError(
                f"The images of '{self.name}' do not come in pairs, which the consistency term with views=pairs needs. "
                "Use the phantom, a manifest with a column 'pair' and aligned images, or views=scanner."
            )
        return replace(self, pixels=self.pixels_b, sector=self.sector_b, pixels_b=None, sector_b=None)

    def ids_digest(self) -> str:
        """A hash of the ids, whatever their order."""
        return hashlib.sha256("\n".join(sorted(self.ids)).encode()).hexdigest()
