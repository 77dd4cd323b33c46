"""What a training has come to: weights, their average, the optimizer, how far it is. A checkpoint holds it all."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from harmbench.errors import UsageError
from harmbench.seeding import seed as derive_seed
from harmbench_builtin.pretrain import checkpoint
from harmbench_builtin.pretrain.average import Average
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.model import MaskedAutoencoder, architecture
from harmbench_builtin.pretrain.optimizer import make_optimizer
from harmbench_builtin.pretrain.settings import Settings
from harmbench_builtin.pretrain.stopping import TrainingDiverged


@dataclass(frozen=True)
class Progress:
    """How far a training is."""

    step: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    rollbacks: int = 0
    rate_scale: float = 1.0
    seconds: float = 0.0


class State:
    """A training between two steps.

    Parameters
    ----------
    images : PretrainingImages
    settings : Settings
    device : torch.device

    Attributes
    ----------
    at : Progress
    last : dict
        The newest record of the log.
    start : (K, C, h, w)
        The stem's weights at step 0.
    network : MaskedAutoencoder
    average : Average or None
    optimizer : torch.optim.AdamW
    """

    def __init__(self, images: PretrainingImages, settings: Settings, device: torch.device) -> None:
        self.at = Progress()
        self.last: dict[str, Any] = {}
        self._settings = settings
        self._identity = {"settings": settings.shaping(), "images": images.digest()}
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, pretrain="weights"))
        network = MaskedAutoencoder(
            architecture(settings.size), 1, settings.decoder_width, settings.init_sd, generator=generator
        )
        self.start = network.stem.weight.detach().clone()
        self.network = network.to(device)
        self.average = Average(self.network, settings.ema) if settings.ema else None
        self.optimizer = make_optimizer(self.network, settings, fused=True)

    def save(self, out: Path) -> None:
        """Write a checkpoint into the training's folder."""
        state = {
            "identity": self._identity,
            "progress": asdict(self.at),
            "last": self.last,
            "start": self.start,
            "network": self.network.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "optimizer": self.optimizer.state_dict(),
        }
        checkpoint.save(out, self.at.step, state, self._settings.keep_checkpoints)

    def load(self, out: Path) -> bool:
        """Go back, or on, to the newest checkpoint in a training's folder; False when there is none.

        Raises
        ------
        UsageError
            When it belongs to a training with other settings or images.
        """
        state = checkpoint.load_latest(out)
        if state is None:
            return False
        if state["identity"] != self._identity:
            theirs, ours = state["identity"]["settings"], self._settings.shaping()
            changed = [f"{key} {theirs.get(key)} -> {ours[key]}" for key in ours if theirs.get(key) != ours[key]]
            what = f"settings: {', '.join(changed)}" if changed else "images"
            raise UsageError(
                f"{out / checkpoint.FOLDER} belongs to a training with other {what}. "
                "Choose another folder, or delete that one to start again."
            )
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.start, self.last = state["start"], state["last"]
        self.at = Progress(**state["progress"])
        return True

    def roll_back(self, out: Path) -> str:
        """Go back to the newest checkpoint, from where the learning rate is halved.

        Returns
        -------
        str
            What happened, for the user.

        Raises
        ------
        TrainingDiverged
            When that was done often enough.
        """
        failed = self.at
        if failed.rollbacks == self._settings.rollbacks:
            raise TrainingDiverged(
                f"Loss or gradient was not finite in {failed.skipped_in_a_row} steps in a row, up to step "
                f"{failed.step + 1}, after {failed.rollbacks} roll-back(s). The last checkpoint in {out} is from "
                f"before. Train in another folder with a lower learning rate (it was {self._settings.lr:g}) or with "
                "precision fp32."
            )
        self.load(out)
        self.at = replace(
            self.at,
            skipped=failed.skipped,
            skipped_in_a_row=0,
            rollbacks=failed.rollbacks + 1,
            rate_scale=failed.rate_scale / 2,
        )
        return (
            f"{failed.skipped_in_a_row} steps in a row, up to step {failed.step + 1}, were not finite: training goes "
            f"on from step {self.at.step} with the learning rate times {self.at.rate_scale:g}."
        )
