"""Masked-autoencoder pretraining, from images to kernel files. Needs torch, numpy and safetensors only.

Every random number is a function of seed, step and position in the batch (`sampling.py`), so a run that was stopped
goes on exactly where it was: on a CPU the result is the same to the bit as if it had never stopped. Run by
`torchrun`, several processes share each batch and do together what one would do alone.
"""

from __future__ import annotations

import math
import signal
import time
import warnings
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from harmbench.errors import UsageError
from harmbench.progress import ProgressFunction, no_progress
from harmbench_builtin.pretrain import hardware
from harmbench_builtin.pretrain.artifacts import CARD, EMA_KERNELS, KERNELS, Trained, write_artifacts
from harmbench_builtin.pretrain.batches import Batch, Batches
from harmbench_builtin.pretrain.distributed import World, connected
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.logs import Log, require_tensorboard
from harmbench_builtin.pretrain.monitor import Window, stem_facts, work_of
from harmbench_builtin.pretrain.optimizer import learning_rate, set_rate
from harmbench_builtin.pretrain.pictures import Pictures
from harmbench_builtin.pretrain.settings import Settings
from harmbench_builtin.pretrain.state import State
from harmbench_builtin.pretrain.stopping import PretrainingStopped, StopSignals, TrainingDiverged
from harmbench_builtin.pretrain.terms import Objective, terms_of
from harmbench_builtin.pretrain.tracing import tracer

LOG = "log.jsonl"
TENSORBOARD = "tensorboard"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def pretrain(
    images: PretrainingImages,
    out: str | Path,
    settings: Settings | None = None,
    progress: ProgressFunction = no_progress,
) -> Path:
    """Train, or go on with a training that was stopped, and export the stem's kernels.

    Parameters
    ----------
    images : PretrainingImages
    out : path
        Folder for checkpoints, the log (`log.jsonl`), pictures, the kernels and their card. With several machines it
        must be one that all of them see.
    settings : Settings
    progress : callable
        progress(stage, done, total)

    Returns
    -------
    Path
        Of the kernel file, `<out>/kernels.safetensors`.

    Raises
    ------
    PretrainingStopped
        After Ctrl-C or SIGTERM; nothing trained is lost.
    TrainingDiverged
        When loss or gradient stay non-finite.
    UsageError
        When `out` holds a training with other settings or images, or the settings do not fit the machine.
    DataError
        When the images show nothing, or a file cannot be read or written.
    """
    settings = settings or Settings()
    if settings.consistency > 0 and settings.views == "pairs":
        images.second()  # refused before anything is written
    with connected(settings.device) as world:
        device, precision = fitting(settings, world)
        with hardware.torch_set_up(settings.threads, precision):
            return _Training(images, Path(out), settings, world, device, precision).run(progress)


def fitting(settings: Settings, world: World) -> tuple[torch.device, str]:
    """The device and the precision of a training; UsageError where the settings do not fit the machine."""
    shares = world.size * settings.accumulate
    if settings.batch % shares:
        raise UsageError(
            f"A batch of {settings.batch} cannot be divided over {world.size} process(es) with accumulate "
            f"{settings.accumulate}. Choose a batch that is a multiple of {shares}."
        )
    if settings.tensorboard:
        require_tensorboard()
    device = hardware.find_device(settings.device, world.local_rank)
    return device, hardware.find_precision(settings.precision, device)


class _Training:
    """The loop, and what it works with."""

    def __init__(
        self,
        images: PretrainingImages,
        out: Path,
        settings: Settings,
        world: World,
        device: torch.device,
        precision: str,
    ) -> None:
        self.images, self.out, self.settings = images, out, settings
        self.world, self.device, self.precision = world, device, precision
        self.mean, self.std = images.statistics()
        self.state = State(images, settings, device)

    def run(self, progress: ProgressFunction) -> Path:
        if not self.state.load(self.out):
            # Written before the first step: a folder that cannot be written to is found now, and there always is a
            # checkpoint to go back to.
            self.world.wait()
            self._save()
        if self.state.at.step < self.settings.steps:
            with ExitStack() as stack:
                batches = Batches(self.images, self.mean, self.std, self.settings, self.device, self.world)
                stack.callback(batches.close)
                model = self._prepare(batches)
                log = self._open_log(stack)
                stop = stack.enter_context(StopSignals())
                trace = stack.enter_context(tracer(self.settings.profile, self.out, self.device, self.world))
                self._learn(batches, model, log, stop, trace, progress)
        if self.world.first:
            write_artifacts(self.out, self._trained())
        self.world.wait()
        return self.out / KERNELS

    def _prepare(self, batches: Batches) -> nn.Module:
        """The module that is trained: laid out, compiled, and shared by all processes."""
        settings, network = self.settings, self.state.network
        objective = Objective(network, terms_of(settings, self.mean, self.std), self.precision == "bf16")
        trial = next(batches.take(self.state.at.step).parts(settings.accumulate))

        def try_a_step() -> None:
            objective(trial)[0].backward()
            network.zero_grad(set_to_none=True)

        last = hardware.choose_layout(network, settings.channels_last, self.device, self.world, try_a_step)
        if self.state.average is not None:
            self.state.average.network.arrange(last)
        hardware.compile_network(network, settings.compile, self.device, self.world, try_a_step)
        return self.world.parallel(objective, self.device)

    def _learn(
        self,
        batches: Batches,
        model: nn.Module,
        log: Log | None,
        stop: StopSignals,
        trace: Any,
        progress: ProgressFunction,
    ) -> None:
        settings, state, optimizer = self.settings, self.state, self.state.optimizer
        pictures = self._pictures()
        window = Window(self.device, work_of(settings, self.world.size, self.device, self.precision))
        started = time.perf_counter() - state.at.seconds
        while state.at.step < settings.steps:
            set_rate(optimizer, state.at.rate_scale * learning_rate(settings, state.at.step))
            with window.waiting():
                batch = batches.take(state.at.step)
            values = self._backward(model, batch)
            norm = nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip or math.inf)
            with window.waiting():
                batches.prepare(state.at.step + 1)
            facts, asked = self._agree(values, norm, stop.number)
            if math.isfinite(facts["loss"]) and math.isfinite(facts["gradient_norm"]):
                optimizer.step()
                if state.average is not None:
                    state.average.update(state.network)
                state.at = replace(state.at, skipped_in_a_row=0)
            else:
                bad = state.at.skipped_in_a_row + 1
                state.at = replace(state.at, skipped=state.at.skipped + 1, skipped_in_a_row=bad)
            optimizer.zero_grad(set_to_none=True)
            if state.at.skipped_in_a_row >= settings.rollback_after:
                self._roll_back(log)
                continue
            state.at = replace(state.at, step=state.at.step + 1, seconds=time.perf_counter() - started)
            window.add(facts)
            last = state.at.step == settings.steps
            if self._due(settings.log_every) or last:
                self._record(window, log)
            if pictures is not None and (self._due(settings.reconstruct_every) or last):
                pictures.save(state.network, state.at.step)
            # Weights that give non-finite numbers are not worth going back to.
            if (self._due(settings.checkpoint_every) and not state.at.skipped_in_a_row) or last or asked:
                self._save()
            if trace is not None:
                trace.step()
            progress("pretrain", state.at.step, settings.steps)
            if asked and not last:
                raise PretrainingStopped(
                    f"Pretraining stopped after step {state.at.step} of {settings.steps}; the checkpoint is in "
                    f"{self.out}. Run the same command again to go on.",
                    asked_to_end=asked == signal.SIGTERM,
                )

    def _backward(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Gradients of the whole step, and this process's share of what goes into the log."""
        values: dict[str, Tensor] = {"masked_cells": batch.scored.sum()}
        parts = self.settings.accumulate
        for number, part in enumerate(batch.parts(parts), 1):
            # Gradients are exchanged once, with those of the last part.
            early = isinstance(model, DistributedDataParallel) and number < parts
            with model.no_sync() if early else nullcontext():  # type: ignore[operator]
                loss, shares = model(part)
                # Shares add up to the step's loss, but DistributedDataParallel takes the mean over processes.
                (loss * self.world.size).backward()
            values |= {name: share + values.get(name, 0.0) for name, share in shares.items()}
        return values

    def _agree(self, values: dict[str, Tensor], norm: Tensor, stop: int) -> tuple[dict[str, float], int]:
        """Sum the shares over processes; all of them learn of a signal that one received (its number, else 0).

        The only moment of a step at which the CPU waits for the GPU.
        """
        signals = torch.tensor([float(stop == number) for number in _SIGNALS], dtype=torch.float64, device=self.device)
        shares = torch.cat([torch.stack([value.double() for value in values.values()]), signals])
        *sums, ended, interrupted, length = torch.cat([self.world.total(shares), norm.double()[None]]).tolist()
        asked = _SIGNALS[0] if ended else _SIGNALS[1] if interrupted else 0
        return {**dict(zip(values, sums, strict=True)), "gradient_norm": length}, asked

    def _roll_back(self, log: Log | None) -> None:
        # The first process may still be writing; afterwards it must not write before all have read.
        self.world.wait()
        what = self.state.roll_back(self.out)
        self.world.wait()
        self._save()
        if log is not None:
            log.rewind(self.state.at.step)
            warnings.warn(what, stacklevel=2)

    def _save(self) -> None:
        if self.world.first:
            self.state.save(self.out)

    def _due(self, every: int) -> bool:
        return every > 0 and self.state.at.step % every == 0

    def _pictures(self) -> Pictures | None:
        if not self.world.first or not self.settings.reconstruct_every:
            return None
        return Pictures(self.out, self.images, self.mean, self.std, self.settings, self.device)

    def _open_log(self, stack: ExitStack) -> Log | None:
        if not self.world.first:
            return None
        log = Log(self.out / LOG, self.state.at.step, self.out / TENSORBOARD if self.settings.tensorboard else None)
        stack.callback(log.close)
        return log

    def _record(self, window: Window, log: Log | None) -> None:
        state = self.state
        state.last = {
            "step": state.at.step,
            **window.close(),
            "lr": state.optimizer.param_groups[0]["lr"],
            **stem_facts(state.network.stem.weight, state.start),
            "skipped_steps": state.at.skipped,
            "rollbacks": state.at.rollbacks,
            "seconds": state.at.seconds,
        }
        if log is not None:
            log.write(state.last)

    def _trained(self) -> Trained:
        state = self.state
        return Trained(
            images=self.images,
            settings=self.settings,
            mean=self.mean,
            std=self.std,
            start=state.start,
            network=state.network,
            average=state.average.network if state.average is not None else None,
            result={
                "steps": state.at.step,
                "images_seen": state.at.step * self.settings.batch,
                "seconds": round(state.at.seconds, 1),
                "device": hardware.device_name(self.device),
                "processes": self.world.size,
                "threads": torch.get_num_threads(),
                "precision": self.precision,
                "loss": state.last["reconstruction_loss"],
                "trivial_loss": state.last["trivial_loss"],
                "skipped_steps": state.at.skipped,
                "rollbacks": state.at.rollbacks,
            },
        )


__all__ = ["CARD", "EMA_KERNELS", "KERNELS", "LOG", "PretrainingStopped", "Settings", "TrainingDiverged", "pretrain"]
