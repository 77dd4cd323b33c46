"""Who and what a component was trained on, as hashed ids: enough to find the same patient or image in a test fold.

Two ids per image, each cut to 8 bytes:

- the *patient* id: a hash of the patient's name within its scope (`ImageSet.patient_scope`, else the set's name), so
  that patient "1" of one hospital is not patient "1" of another. It is made slow on purpose: names of patients are easy
  to guess, and whoever has the file should not be able to try millions of them in a second. Whoever holds a list of
  names can still test those, so a file of ids is not anonymous in the strict sense.
- the *content* id: a hash of the decoded grey levels, so that an image is found again under another name, in another
  lossless format, or in another data set. A copy that was resized, cropped, mirrored or compressed again is not.

Two different patients or images share an id with a probability of 2**-64 per pair.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.components import Overlap
from harmbench.data import ImageSet

Ids = npt.NDArray[np.uint8]
SIZE = 8
"""Bytes of an id."""
_ROUNDS = 1000


@lru_cache(maxsize=200_000)
def patient_id(scope: str, patient: str) -> bytes:
    """The id of a patient within a scope, 8 bytes."""
    return hashlib.pbkdf2_hmac("sha256", patient.encode(), f"harmbench patient of {scope}".encode(), _ROUNDS, SIZE)


def content_id(pixels: npt.ArrayLike) -> bytes:
    """The id of an image's grey levels (H, W), 8 bytes: the same for integers and floats of equal value."""
    values = np.ascontiguousarray(pixels, dtype="<f4") + np.float32(0)  # -0.0 becomes 0.0
    return hashlib.sha256(f"harmbench image {values.shape}".encode() + values.tobytes()).digest()[:SIZE]


def scope_of(images: ImageSet) -> str:
    """Where the set's patient names are unique."""
    return images.patient_scope or images.name


def as_ids(ids: Iterable[bytes]) -> Ids:
    """Ids as uint8 (n, 8), sorted, each once."""
    return np.frombuffer(b"".join(sorted(set(ids))), np.uint8).reshape(-1, SIZE)


def _nothing() -> Ids:
    return np.empty((0, SIZE), np.uint8)


@dataclass(frozen=True)
class Seen:
    """What was trained on.

    Parameters
    ----------
    patients : uint8 (P, 8)
        Empty where patients are not known.
    images : uint8 (N, 8)
        Empty where the images are not listed.
    """

    patients: Ids = field(default_factory=_nothing)
    images: Ids = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        for name in ("patients", "images"):
            ids: Any = getattr(self, name)
            if ids.dtype != np.uint8 or ids.ndim != 2 or ids.shape[1] != SIZE:
                raise ValueError(f"{name} are {ids.dtype} of shape {ids.shape}; ids are uint8 (n, {SIZE})")

    def __bool__(self) -> bool:
        return bool(len(self.patients) or len(self.images))

    @classmethod
    def of(cls, images: ImageSet) -> Seen:
        """The ids of every sample of an image set."""
        scope = scope_of(images)
        return cls(
            as_ids(patient_id(scope, sample.patient) for sample in images.samples),
            as_ids(content_id(image.pixels) for image in images),
        )

    def overlap(self, images: ImageSet, source: str = "") -> Overlap:
        """Which patients and images of a set were trained on.

        Parameters
        ----------
        images : ImageSet
        source : str
            What was trained on, in words.
        """
        if not self:
            return Overlap(source, listed=False)
        patients, contents = ({row.tobytes() for row in ids} for ids in (self.patients, self.images))
        scope = scope_of(images)
        by_name = {s.patient for s in images.samples if patient_id(scope, s.patient) in patients}
        found = []
        if contents:
            found = [sample for i, sample in enumerate(images.samples) if content_id(images.read(i).pixels) in contents]
        by_image = {s.patient for s in found}
        return Overlap(source, tuple(sorted(by_name | by_image)), tuple(s.id for s in found))
