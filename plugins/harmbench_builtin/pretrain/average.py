"""A running average of the weights (EMA)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from harmbench_builtin.pretrain.model import MaskedAutoencoder


class Average:
    """Exponential moving average of a network's weights.

    Parameters
    ----------
    network : MaskedAutoencoder
    decay : float
        Reached by and by: after n updates it is min(decay, (1 + n) / (10 + n)), so that a short training does not
        average over its random start.
    """

    def __init__(self, network: MaskedAutoencoder, decay: float) -> None:
        self._decay = decay
        self._updates = 0
        self._model = AveragedModel(network, multi_avg_fn=self._move)

    @property
    def network(self) -> MaskedAutoencoder:
        """The network with averaged weights."""
        module = self._model.module
        assert isinstance(module, MaskedAutoencoder)
        return module

    def update(self, network: MaskedAutoencoder) -> None:
        """Take the weights after a step into the average."""
        self._model.update_parameters(network)
        self._updates += 1

    def _move(self, averaged: Any, current: Any, count: Tensor | int) -> None:
        # `count` is our number of updates, but on the device: reading it there would make the CPU wait.
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """Weights and number of updates."""
        return self._model.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._model.load_state_dict(state)
        self._updates = int(state["n_averaged"])
