"""A first layer for colour images, with its normalisation, as kernels for grey levels 0 to 1: exact, not approximate.

A network computes `sum_c w_c * (x_c - m_c) / s_c + b` at every pixel. A grey image has `x_c = x` in every channel, so
that is `(sum_c w_c / s_c) * x + b - sum_c sum(w_c) m_c / s_c`: one kernel and one bias on `x`. (Adding up the channels
of the weights alone, as is common for one-channel networks, is right only where all s_c are 1 and the bias is moved.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harmbench.data import Floats
from harmbench.errors import DataError, UsageError

COLOURS = ("fold", "red", "green", "blue")


@dataclass(frozen=True)
class GreyLayer:
    """Kernels on grey levels from 0 to 1.

    Parameters
    ----------
    weight : float64 (K, h, w)
    bias : float64 (K,)
    """

    weight: Floats
    bias: Floats


@dataclass(frozen=True)
class BatchNorm:
    """A trained BatchNorm over K channels: `(y - mean) / sqrt(variance + eps) * gain + shift`."""

    gain: Floats
    shift: Floats
    mean: Floats
    variance: Floats
    eps: float = 1e-5


def to_grey(
    weight: Floats, bias: Floats, mean: Sequence[float], std: Sequence[float], colour: str = "fold"
) -> GreyLayer:
    """What a first layer computes on a grey image.

    Parameters
    ----------
    weight : (K, C, h, w)
        C is 1 or 3.
    bias : (K,)
    mean, std : C numbers
        The network saw `(x / 255 - mean) / std`.
    colour : {"fold", "red", "green", "blue"}
        "fold": all channels, as for a grey image. A colour: the kernel of that channel alone, as if the other two
        showed their mean; this keeps kernels that look for colour, of which folding leaves little.

    Raises
    ------
    DataError
        The numbers are not finite, or all kernels vanish.
    UsageError
        `colour`, `mean` or `std` do not fit.
    """
    if colour not in COLOURS:
        raise UsageError(f"colour is '{colour}'; it must be one of {', '.join(COLOURS)}.")
    channels = weight.shape[1]
    if colour != "fold" and channels == 1:
        raise UsageError(f"colour={colour} needs a layer for colour images; this one takes grey images.")
    centre, scale = (_per_channel(name, v, channels) for name, v in (("mean", mean), ("std", std)))
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise DataError(
            "the kernels hold NaN or infinite values.", remedy="The training went wrong, or the file is damaged."
        )
    if not (scale > 0).all():
        raise UsageError(f"std is {_shown(scale)}; it must be above 0.")
    taken = slice(None) if colour == "fold" else slice(COLOURS.index(colour) - 1, COLOURS.index(colour))
    scaled = weight[:, taken] / scale[None, taken, None, None]
    grey = GreyLayer(scaled.sum(axis=1), bias - np.einsum("kchw,c->k", scaled, centre[taken]))
    if not grey.weight.any():
        raise DataError("all kernels are 0 on grey images.", remedy="Choose a colour, or another layer with --key.")
    return grey


def kept_share(weight: Floats, std: Sequence[float], grey: GreyLayer) -> Floats:
    """How much of each kernel folding leaves, (K,) from 0 to 1: a kernel that looks for colour only has 0.

    The norm on grey images over the largest that channels of the same norms could add up to.
    """
    scale = _per_channel("std", std, weight.shape[1])
    most = (np.linalg.norm(weight, axis=(2, 3)) / scale).sum(axis=1)
    return np.linalg.norm(grey.weight, axis=(1, 2)) / np.where(most > 0, most, 1.0)


def fold_batch_norm(weight: Floats, bias: Floats, norm: BatchNorm) -> tuple[Floats, Floats]:
    """Weights and bias that give what a trained BatchNorm makes of the layer's output (evaluation mode)."""
    ratio = norm.gain / np.sqrt(norm.variance + norm.eps)
    return weight * ratio[:, None, None, None], (bias - norm.mean) * ratio + norm.shift


def _per_channel(name: str, values: Sequence[float], channels: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 1:
        array = np.repeat(array, channels)
    if array.shape != (channels,) or not np.isfinite(array).all():
        raise UsageError(f"{name} is {_shown(array)}; {channels} finite number(s) are needed, or one for all channels.")
    return array


def _shown(values: Floats) -> str:
    return ",".join(f"{value:g}" for value in np.ravel(values))
