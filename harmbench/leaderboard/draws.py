"""Bootstrap replicates inside a board: short enough for a file, exact enough to rank by."""

from __future__ import annotations

import base64
import binascii

import numpy as np

from harmbench.data import Floats
from harmbench.errors import DataError


def encode(replicates: Floats) -> str:
    """Little-endian float32 in base64: seven digits, 11 kB for 2,000 replicates."""
    return base64.b64encode(np.asarray(replicates, dtype="<f4").tobytes()).decode()


def decode(text: str) -> Floats:
    """What `encode` made, as float64.

    Raises
    ------
    DataError
        Not such a text.
    """
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float64)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"replicates cannot be decoded: {error}.", remedy="Build the board again.") from None
