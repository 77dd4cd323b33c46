"""What is minimised: a sum of terms. Another term is another class in another module, and a line in `terms_of`."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from harmbench_builtin.pretrain import frequency, objective
from harmbench_builtin.pretrain.batches import Batch
from harmbench_builtin.pretrain.consistency import Consistency, Diversity
from harmbench_builtin.pretrain.model import MaskedAutoencoder
from harmbench_builtin.pretrain.settings import Settings


class Output(NamedTuple):
    """What the network gave for a batch.

    Parameters
    ----------
    predicted : (b, C * 32 * 32, H/32, W/32)
    stem : (b, K, H/4, W/4) or None
        Responses of the stem's kernels to the whole image, before any norm; None unless a term needs them.
    """

    predicted: Tensor
    stem: Tensor | None


class Term(Protocol):
    """A part of the loss.

    A step may come in parts (accumulation) and on several processes. What a term returns are shares that add up to
    the step's value: a sum over scored cells divided by `batch.total_scored`, a sum over images divided by
    `batch.total`. Then the step's gradient does not depend on how the step was divided.
    """

    name: str
    """In the log: `<name>_loss`."""
    weight: float
    """What the value is multiplied by in the loss."""
    needs_stem: bool
    """Whether `output.stem` is used."""

    def __call__(self, network: MaskedAutoencoder, batch: Batch, output: Output) -> tuple[Tensor, dict[str, Tensor]]:
        """The term's share (a scalar with gradient), and further shares for the log (scalars without), by name."""
        ...


class Reconstruction:
    """Mean squared error of the hidden cells' pixels, normalised cell by cell.

    Parameters
    ----------
    floor : float
        Added to a cell's variance, in units of the images' variance.
    target : {"pixels", "laplacian", "whitened"}
        See `frequency`.
    """

    name = "reconstruction"
    weight = 1.0
    needs_stem = False

    def __init__(self, floor: float, target: str = "pixels") -> None:
        self._floor, self._target = floor, target

    def __call__(self, network: MaskedAutoencoder, batch: Batch, output: Output) -> tuple[Tensor, dict[str, Tensor]]:
        target = objective.targets(frequency.filtered(batch.images, self._target), self._floor)
        loss, trivial = objective.masked_loss(output.predicted, target, batch.scored, batch.total_scored)
        return loss, {"trivial_loss": trivial}


def terms_of(settings: Settings, mean: float, std: float) -> list[Term]:
    """The terms that the settings ask for.

    Parameters
    ----------
    settings : Settings
    mean, std : float
        Of `pixels / 255`; the images are in units of this standard deviation, from this mean.
    """
    # The floor is given in grey levels; the images are in units of their standard deviation.
    terms: list[Term] = [Reconstruction((settings.floor / 255.0 / std) ** 2, settings.target)]
    if settings.consistency > 0:
        terms.append(Consistency(settings.consistency, mean, std))
        if settings.diversity > 0:
            terms.append(Diversity(settings.diversity))
    return terms


class Objective(nn.Module):
    """Network and terms as one module, so that whatever a term does with the network is part of one forward pass."""

    def __init__(self, network: MaskedAutoencoder, terms: list[Term], bf16: bool) -> None:
        super().__init__()
        self.network, self._terms, self._bf16 = network, terms, bf16
        self._with_stem = any(term.needs_stem for term in terms)

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The batch's share of the loss, and what goes into the log: `loss`, `<term>_loss`, and the terms' own."""
        with torch.autocast(batch.images.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            given = self.network(batch.images, batch.visible, self._with_stem)
        output = Output(*given) if self._with_stem else Output(given, None)
        loss = batch.images.new_zeros(())
        values: dict[str, Tensor] = {}
        for term in self._terms:
            value, more = term(self.network, batch, output)
            loss = loss + term.weight * value
            values |= {f"{term.name}_loss": value.detach(), **{name: v.detach() for name, v in more.items()}}
        return loss, {"loss": loss.detach(), **values}
