"""What can be said of kernels by looking at their numbers: size, diversity, and what each lets through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harmbench.data import Floats
from harmbench_builtin.harmonizers.ssl_kernel.kernels import Kernels

_LEAST = 64
"""Points per side of a frequency response, at least."""


@dataclass(frozen=True)
class KernelFacts:
    """One kernel.

    Parameters
    ----------
    number : int
    norm : float
        Root of the sum of squared weights.
    sum : float
        Sum of the weights: the gain of a flat region.
    frequency : float
        Where the response is strongest, cycles per pixel (0: a smoothing kernel; 0.5: the finest stripes along an
        axis).
    direction : float
        Direction in which those waves run, degrees from 0 to below 180: 0 along a row, 90 along a column; NaN where
        the frequency is 0.
    flat_share : float
        Gain of a flat region over the largest gain, 0 to 1.
    """

    number: int
    norm: float
    sum: float
    frequency: float
    direction: float
    flat_share: float


def frequency_responses(weight: Floats) -> Floats:
    """Magnitude of each kernel's transfer function.

    Parameters
    ----------
    weight : (K, h, w)

    Returns
    -------
    float64 (K, n, n)
        The two-dimensional Fourier transform of the zero-padded kernel, frequency 0 at [n // 2, n // 2], rows first;
        n is 64, or the power of two that is at least four times the kernel's side.
    """
    side = _LEAST
    while side < 4 * max(weight.shape[1:]):
        side *= 2
    return np.fft.fftshift(np.abs(np.fft.fft2(weight, s=(side, side))), axes=(1, 2))


def kernel_facts(weight: Floats) -> tuple[KernelFacts, ...]:
    """The facts of each of K kernels (K, h, w)."""
    responses = frequency_responses(weight)
    side = responses.shape[1]
    axis = (np.arange(side) - side // 2) / side
    axis[0] = 0.5  # the same frequency as -0.5
    # A real kernel answers equally to a frequency and its opposite; one half is enough, and has no ties but true ones.
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    half = (rows > 0) | ((rows == 0) & (columns >= 0))
    found = []
    for number, (kernel, response) in enumerate(zip(weight, responses, strict=True)):
        peak = int(np.argmax(np.where(half, response, -1.0)))
        row, column = float(rows.flat[peak]), float(columns.flat[peak])
        top = float(response.flat[peak])
        frequency = float(np.hypot(row, column))
        found.append(
            KernelFacts(
                number=number,
                norm=float(np.linalg.norm(kernel)),
                sum=float(kernel.sum()),
                frequency=frequency,
                direction=float(np.degrees(np.arctan2(row, column)) % 180) if frequency else float("nan"),
                flat_share=float(response[side // 2, side // 2] / top) if top else 0.0,
            )
        )
    return tuple(found)


def diversity(weight: Floats) -> float:
    """Mean over pairs of kernels of 1 - |cosine|: 0 when all are one kernel up to size and sign.

    Kernels of random numbers have about 0.80 with 16 weights and 0.95 with 256.
    """
    flat = weight.reshape(len(weight), -1)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    unit = flat / np.where(norms > 0, norms, 1.0)
    pairs = len(flat) * (len(flat) - 1)
    if not pairs:
        return 0.0
    likeness = np.abs(unit @ unit.T)
    np.fill_diagonal(likeness, 0.0)
    return float(1 - likeness.sum() / pairs)


def summary(name: str, kernels: Kernels) -> dict[str, Any]:
    """A kernel file in one line, as JSON values; None where its file does not say."""
    count, height, width = kernels.weight.shape
    data, result = (kernels.provenance.get(part) or {} for part in ("data", "result"))
    source = kernels.provenance.get("source") or {}
    return {
        "name": name,
        "kernels": count,
        "height": height,
        "width": width,
        "trained_on": data.get("name") or None,
        "images": data.get("images"),
        "source": source.get("network") or _own(kernels),
        "synthetic": kernels.synthetic,
        "licence": kernels.licence or None,
        "stem_cosine": result.get("stem_cosine"),
        "stem_relative_change": result.get("stem_relative_change"),
        "diversity": diversity(kernels.weight),
        "mean": kernels.mean,
        "std": kernels.std,
        "listed_patients": len(kernels.seen.patients),
        "listed_images": len(kernels.seen.images),
    }


def _own(kernels: Kernels) -> str | None:
    settings = kernels.provenance.get("settings") or {}
    if not settings.get("size"):
        return None
    weights = kernels.provenance.get("weights")
    return f"ConvNeXt-V2 {settings['size']}, FCMAE" + (f", {weights}" if weights else "")
