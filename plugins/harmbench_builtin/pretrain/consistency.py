"""Kernels that see the same texture through another scanner: a term that ties the stem's responses to two views.

Downstream a kernel is judged by pooled figures of its response in a region, so these are what is tied: spread, mean,
tail and neighbour correlation of the response inside the sector. For each of them the loss is one minus the intraclass
correlation of the two views,

    within / total = mean of (a - b)^2 / 2  over  variance of all a and b,

which is 0 when two views of a heart agree as far as hearts differ at all, and 1 when they agree no more than views of
different hearts. No scale of a kernel changes it, and a figure that is the same for all hearts gains nothing.

All kernels could still become one: `Diversity` keeps them as different as random ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from harmbench_builtin.pretrain.batches import Batch
from harmbench_builtin.pretrain.model import MaskedAutoencoder

if TYPE_CHECKING:
    from harmbench_builtin.pretrain.terms import Output

STATISTICS = ("log spread", "mean", "tail", "correlation down", "correlation across")
_FLOOR = 1e-4
"""Added to a response's variance, in units of the kernel's squared norm: what quantisation to grey levels leaves."""
_TINY = 1e-6
_STRIDE = 4


def texture(images: Tensor, sector: Tensor, weight: Tensor) -> Tensor:
    """Pooled figures of each kernel's response at stride 1, the way in which kernels are used as filters.

    A response is linear in the kernel, so its mean, variance and neighbour correlations follow from the mean and the
    covariances of the image's patches, which are the same for all kernels and need no gradient. Only the tail is
    taken from responses, at every fourth pixel each way.

    Parameters
    ----------
    images : float32 (B, C, H, W)
        In units of the images' standard deviation.
    sector : float32 (B, 1, H, W), 0 or 1
        Responses count where the kernel lies in the sector altogether.
    weight : (K, C, h, w)

    Returns
    -------
    float32 (B, K, 5)
        In the order of `STATISTICS`. The mean is in units of the response's root mean square spread over the batch,
        the tail is mean |r| over the spread, after the mean is taken away; none of them changes when a kernel is
        multiplied by a positive number, except that the log spread moves by the same for all images.
    """
    kernels = weight.flatten(1)
    centre, covariance, down, across = _patches(images, sector, weight.shape[2:])
    floor = _FLOOR * kernels.square().sum(1)
    variance = _quadratic(covariance, kernels) + floor
    spread = variance.sqrt()
    mean = centre @ kernels.T
    inside = _inside(sector, weight.shape[2:])[..., ::_STRIDE, ::_STRIDE]
    response = F.conv2d(images, weight, stride=_STRIDE) - mean[..., None, None]
    tail = (response.abs() * inside).sum((2, 3)) / inside.sum((2, 3)).clamp(min=1.0) / spread
    return torch.stack(
        [
            spread.log(),
            mean / variance.mean(0).sqrt(),
            tail,
            _quadratic(down, kernels) / variance,
            _quadratic(across, kernels) / variance,
        ],
        dim=2,
    )


def _inside(sector: Tensor, size: torch.Size) -> Tensor:
    """Where a kernel lies in the sector altogether, float32 (B, 1, H - h + 1, W - w + 1), 0 or 1."""
    return (F.max_pool2d(1.0 - sector, tuple(size), stride=1) == 0).to(sector.dtype)


@torch.no_grad()
def _patches(images: Tensor, sector: Tensor, size: torch.Size) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean of all patches inside the sector (B, p), their covariance (B, p, p), and that with the patch below and the
    patch to the right."""
    inside = _inside(sector, size)
    patches = F.unfold(images, tuple(size)).unflatten(2, inside.shape[2:])  # (B, p, H', W')
    count = inside.sum((2, 3)).clamp(min=1.0)
    centre = (patches * inside).sum((2, 3)) / count
    centred = (patches - centre[..., None, None]) * inside

    def product(one: Tensor, other: Tensor, pairs: Tensor) -> Tensor:
        return one.flatten(2) @ other.flatten(2).transpose(1, 2) / pairs.sum((2, 3)).clamp(min=1.0)[..., None]

    return (
        centre,
        product(centred, centred, inside),
        product(centred[:, :, 1:], centred[:, :, :-1], inside[:, :, 1:] * inside[:, :, :-1]),
        product(centred[..., 1:], centred[..., :-1], inside[..., 1:] * inside[..., :-1]),
    )


def _quadratic(matrices: Tensor, kernels: Tensor) -> Tensor:
    """w' M w for every matrix (B, p, p) and kernel (K, p): (B, K)."""
    return ((kernels @ matrices) * kernels).sum(2)


def disagreement(first: Tensor, second: Tensor) -> Tensor:
    """One minus the intraclass correlation of two views, for every figure.

    Parameters
    ----------
    first, second : (B, ...)
        Of the same B images.

    Returns
    -------
    (...)
        About 1 for views that have nothing in common, 0 for equal ones (1 when nothing differs at all).
    """
    within = (first - second).square().mean(0) / 2.0
    total = torch.cat([first, second]).var(0, correction=0)
    return (within + _TINY) / (total + _TINY)


def crowding(weight: Tensor) -> Tensor:
    """How much more alike kernels are than random ones: 0 up to the likeness of random directions.

    The frame potential (sum of squared cosines between all pairs, Benedetto and Fickus 2003) over its least possible
    value K^2 / d, minus 1; random directions in d dimensions have (d - 1) / K on average, and only what exceeds this
    counts. With K equal kernels it is d - 1 - (d - 1) / K.
    """
    unit = F.normalize(weight.flatten(1), dim=1)
    count, size = unit.shape
    least = max(count * count / size, float(count))
    potential = (unit @ unit.T).square().sum() / least
    expected = (count + count * (count - 1) / size) / least
    return F.relu(potential - expected)


class Consistency:
    """Mean disagreement of the two views over kernels and figures.

    Variances are those of the images that a process sees in one part of a step, as with batch normalisation: with
    accumulation or several processes the term is the mean over parts.
    """

    name = "consistency"
    needs_stem = False

    def __init__(self, weight: float, mean: float, std: float) -> None:
        self.weight, self._mean, self._std = weight, mean, std

    def __call__(self, network: MaskedAutoencoder, batch: Batch, output: Output) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.views is not None  # made whenever this term is asked for
        views = batch.views
        kernels = network.stem.weight
        first, second = (texture((view / 255.0 - self._mean) / self._std, views.sector, kernels) for view in views[:2])
        share = len(batch.images) / batch.total
        each = disagreement(first, second).mean(0)
        by_name = zip(STATISTICS, each.detach(), strict=True)
        figures = {f"consistency_{name.replace(' ', '_')}": value * share for name, value in by_name}
        return each.mean() * share, figures


class Diversity:
    """The collapse guard that goes with `Consistency`."""

    name = "diversity"
    needs_stem = False

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def __call__(self, network: MaskedAutoencoder, batch: Batch, output: Output) -> tuple[Tensor, dict[str, Tensor]]:
        return crowding(network.stem.weight) * (len(batch.images) / batch.total), {}
