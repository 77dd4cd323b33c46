"""What shapes a pretraining, with a reason for each default."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from harmbench.errors import UsageError
from harmbench_builtin.pretrain.frequency import TARGETS
from harmbench_builtin.pretrain.model import CELL, architecture

_DEVICES = ("auto", "cpu", "cuda")
_PRECISIONS = ("auto", "fp32", "tf32", "bf16")
_RESIDENCES = ("auto", "device", "memory-map")
_VIEWS = ("pairs", "scanner")
_AUGMENTS = ("none", "scanner")
_SWITCH = ("auto", "true", "false")
_NOT_SHAPING = (
    "accumulate",
    "device",
    "channels_last",
    "compile",
    "residence",
    "threads",
    "rollback_after",
    "rollbacks",
    "checkpoint_every",
    "keep_checkpoints",
    "log_every",
    "reconstruct_every",
    "tensorboard",
    "profile",
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a pretraining. The defaults fit some minutes on one CPU core.

    Parameters
    ----------
    size : str
        ConvNeXt-V2 size, "atto" to "huge".
    image_size : int
        Side of the crops in pixels, a multiple of 32; 128 gives 16 cells.
    steps : int
    batch : int
        Images of a step, over all processes.
    accumulate : int
        Parts in which each process works through its share of a step, one after the other: less memory, same result.
    lr : float
        Highest learning rate. The published rule (1.5e-4 x batch / 256) is made for 500 000 steps; under it a stem
        would not leave its start within minutes, because a weight moves by about the learning rate per step.
    stem_lr : float
        What the learning rate of the stem's kernels is multiplied by. The loss hardly asks the stem to move, and AdamW
        moves it by about the learning rate per step whatever the loss asks.
    warmup : float
        Share of the steps during which the rate rises.
    weight_decay : float
    clip : float
        Largest gradient norm; 0: no limit.
    ema : float
        Decay of the running average of the weights, whose kernels are exported too; 0: none.
    mask_ratio : float
        Share of the eligible cells that are hidden.
    min_sector : float
        A cell is hidden and scored only if at least this share of it lies in the ultrasound sector.
    floor : float
        In grey levels; its square is added to a cell's variance before its target is normalised.
    target : {"pixels", "laplacian", "whitened"}
        What is predicted: grey levels, or images in which fine texture weighs as much (`frequency`).
    consistency : float
        Weight of the term that makes pooled responses of the kernels agree between two views of the same thing
        (`consistency`); 0: no such term. About 1 for the term to weigh as much as the reconstruction.
    views : {"pairs", "scanner"}
        Where the second views come from: the images come in pairs, or both views are made by random post-processing
        (`scanners`).
    diversity : float
        Weight of the guard that keeps kernels as different as random ones while there is a consistency term.
    augment : {"none", "scanner"}
        "scanner": every image is shown, and is to be reconstructed, as a random scanner would have displayed it.
    crop : (float, float)
        Smallest and largest share of the area of a random crop.
    flip : bool
        Mirror half of the crops left to right.
    init_sd : float
        Standard deviation of the initial weights.
    decoder_width : int
    seed : int
    device : {"auto", "cpu", "cuda"}
        "auto": a GPU where there is one.
    precision : {"auto", "fp32", "tf32", "bf16"}
        "bf16": autocast, weights and loss in float32. "tf32": float32 with TF32 products on a GPU. "auto": bf16 on a
        GPU that has it, else tf32 on a GPU, else fp32; on a CPU bf16 gains little and depends on the model of the CPU.
    channels_last : {"auto", "true", "false"}
        Memory layout. "auto": measured for a moment on a GPU; true on a CPU, where a measurement would make two runs
        of one command differ in their last bits.
    compile : {"auto", "true", "false"}
        torch.compile. "auto": on a GPU. Where it does not work training goes on without, with a warning.
    residence : {"auto", "device", "memory-map"}
        Where the 8-bit images live. "auto": in the GPU's memory where they fit in half of what is free.
    threads : int
        CPU threads; 0: torch's own choice.
    rollback_after : int
        Non-finite steps in a row after which training goes back to the last checkpoint, at half the learning rate.
    rollbacks : int
        How often it may do so before it gives up.
    checkpoint_every, log_every : int
        In steps.
    keep_checkpoints : int
        How many of the newest are kept.
    reconstruct_every : int
        Steps between two pictures of reconstructions; 0: none.
    tensorboard : bool
        Write the log for TensorBoard, too (needs the extra `tensorboard`).
    profile : bool
        Write a trace of a few steps (torch.profiler), to be opened in a browser.

    Raises
    ------
    UsageError
        For a value out of range.
    """

    size: str = "atto"
    image_size: int = 128
    steps: int = 600
    batch: int = 32
    accumulate: int = 1
    lr: float = 1e-3
    stem_lr: float = 1.0
    warmup: float = 0.05
    weight_decay: float = 0.05
    clip: float = 5.0
    ema: float = 0.999
    mask_ratio: float = 0.6
    min_sector: float = 0.5
    floor: float = 2.0
    target: str = "pixels"
    consistency: float = 0.0
    views: str = "pairs"
    diversity: float = 1.0
    augment: str = "none"
    crop: tuple[float, float] = (0.2, 1.0)
    flip: bool = True
    init_sd: float = 0.02
    decoder_width: int = 512
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    channels_last: str = "auto"
    compile: str = "auto"
    residence: str = "auto"
    threads: int = 0
    rollback_after: int = 5
    rollbacks: int = 3
    checkpoint_every: int = 100
    keep_checkpoints: int = 2
    log_every: int = 10
    reconstruct_every: int = 200
    tensorboard: bool = False
    profile: bool = False

    def __post_init__(self) -> None:
        architecture(self.size)
        low, high = self.crop
        rules = (
            (self.image_size >= CELL and self.image_size % CELL == 0, "image_size", f"a multiple of {CELL}"),
            (self.steps >= 1, "steps", "at least 1"),
            (self.batch >= 1, "batch", "at least 1"),
            (self.accumulate >= 1, "accumulate", "at least 1"),
            (self.lr > 0, "lr", "above 0"),
            (self.stem_lr >= 0, "stem_lr", "0 (the stem stays) or more"),
            (0 <= self.warmup < 1, "warmup", "a share, from 0 to below 1"),
            (self.weight_decay >= 0, "weight_decay", "0 or more"),
            (self.clip >= 0, "clip", "0 (no limit) or more"),
            (0 <= self.ema < 1, "ema", "0 (none) or a decay below 1"),
            (0 < self.mask_ratio < 1, "mask_ratio", "between 0 and 1"),
            (0 <= self.min_sector <= 1, "min_sector", "a share, from 0 to 1"),
            (self.floor > 0, "floor", "above 0"),
            (self.target in TARGETS, "target", f"one of {', '.join(TARGETS)}"),
            (self.consistency >= 0, "consistency", "0 (none) or more"),
            (self.views in _VIEWS, "views", f"one of {', '.join(_VIEWS)}"),
            (self.diversity >= 0, "diversity", "0 (none) or more"),
            (self.augment in _AUGMENTS, "augment", f"one of {', '.join(_AUGMENTS)}"),
            (0 < low <= high <= 1, "crop", "two shares, the smaller first"),
            (self.init_sd > 0, "init_sd", "above 0"),
            (self.decoder_width >= 1, "decoder_width", "at least 1"),
            (self.device in _DEVICES, "device", f"one of {', '.join(_DEVICES)}"),
            (self.precision in _PRECISIONS, "precision", f"one of {', '.join(_PRECISIONS)}"),
            (self.channels_last in _SWITCH, "channels_last", f"one of {', '.join(_SWITCH)}"),
            (self.compile in _SWITCH, "compile", f"one of {', '.join(_SWITCH)}"),
            (self.residence in _RESIDENCES, "residence", f"one of {', '.join(_RESIDENCES)}"),
            (self.threads >= 0, "threads", "0 (torch's choice) or more"),
            (self.rollback_after >= 1, "rollback_after", "at least 1"),
            (self.rollbacks >= 0, "rollbacks", "0 or more"),
            (self.checkpoint_every >= 1, "checkpoint_every", "at least 1"),
            (self.keep_checkpoints >= 1, "keep_checkpoints", "at least 1"),
            (self.log_every >= 1, "log_every", "at least 1"),
            (self.reconstruct_every >= 0, "reconstruct_every", "0 (none) or more"),
        )
        for fine, name, rule in rules:
            if not fine:
                raise UsageError(f"pretraining setting {name} is {getattr(self, name)!r}; it must be {rule}.")

    def shaping(self) -> dict[str, Any]:
        """The settings that shape the result, as JSON values: two trainings with the same ones may be continued."""
        values = {key: value for key, value in asdict(self).items() if key not in _NOT_SHAPING}
        return {**values, "crop": list(self.crop)}
