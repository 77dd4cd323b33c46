"""Masked-autoencoder pretraining, from images to a kernel file. Needs torch, numpy and safetensors only.

Every random number is a function of seed and step (`sampling.py`), so a run that was stopped goes on exactly where it
was: on a CPU the result is the same to the bit as if it had never stopped.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harmbench.errors import HarmbenchError, UsageError
from harmbench.progress import ProgressFunction, no_progress
from harmbench.seeding import seed as derive_seed
from harmbench_builtin.pretrain import checkpoint, masking, objective, sampling
from harmbench_builtin.pretrain.data import PretrainingImages
from harmbench_builtin.pretrain.export import card, export_kernels, write_whole
from harmbench_builtin.pretrain.model import MaskedAutoencoder, architecture
from harmbench_builtin.pretrain.monitor import Log, StopSignals, stem_facts
from harmbench_builtin.pretrain.settings import Settings

KERNELS = "kernels.safetensors"
CARD = "kernels.md"
LOG = "log.jsonl"
GIVE_UP_AFTER = 20
"""Non-finite steps in a row after which training has failed."""


class PretrainingStopped(HarmbenchError):
    """Stopped by Ctrl-C or SIGTERM after a checkpoint was written; running again goes on from there."""


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
        Folder for the checkpoint, the log (`log.jsonl`), the kernels and their card.
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
    UsageError
        When `out` holds a training with other settings or images.
    DataError
        When the images show nothing, or a file cannot be read or written.
    """
    settings = settings or Settings()
    threads = torch.get_num_threads()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        return _Training(images, Path(out), settings).run(progress)
    finally:
        torch.set_num_threads(threads)


class _Training:
    """What a training holds: network, optimiser, images on the device, and how far it is."""

    def __init__(self, images: PretrainingImages, out: Path, settings: Settings) -> None:
        self.images, self.out, self.settings = images, out, settings
        self.mean, self.std = images.statistics()
        self.device = find_device(settings.device)
        self.bf16 = settings.precision == "bf16" or (
            settings.precision == "auto" and self.device.type == "cuda" and torch.cuda.is_bf16_supported()
        )
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, pretrain="weights"))
        network = MaskedAutoencoder(
            architecture(settings.size), 1, settings.decoder_width, settings.init_sd, generator=generator
        )
        self.start = network.stem.weight.detach().clone()
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(self.network, settings, fused=self.device.type == "cuda")
        self.pixels = torch.from_numpy(images.pixels).to(self.device)
        self.sector = torch.from_numpy(images.sector).to(self.device)
        self.step = self.skipped = self.skipped_in_a_row = 0
        self.seconds = 0.0
        self.last: dict[str, Any] = {}
        self.identity = {"settings": settings.shaping(), "images": images.digest()}

    def run(self, progress: ProgressFunction) -> Path:
        self._resume()
        log = Log(self.out / LOG, keep_until=self.step)
        started = window_started = time.perf_counter()
        before = self.seconds
        # Loss and trivial loss of the steps since the last record.
        window: list[tuple[float, float]] = []
        with StopSignals() as stop:
            while self.step < self.settings.steps:
                facts = self._one_step()
                window.append((facts["loss"], facts["trivial_loss"]))
                self.step += 1
                self.seconds = before + time.perf_counter() - started
                progress("pretrain", self.step, self.settings.steps)
                last = self.step == self.settings.steps
                if self.step % self.settings.log_every == 0 or last:
                    now = time.perf_counter()
                    rate = len(window) * self.settings.batch / (now - window_started)
                    log.write(self._record(facts, window, rate))
                    window, window_started = [], now
                if self.step % self.settings.checkpoint_every == 0 or last or stop.received:
                    self._save()
                if stop.received and not last:
                    raise PretrainingStopped(
                        f"Pretraining stopped after step {self.step} of {self.settings.steps}; "
                        f"the checkpoint is in {self.out}. Run the same command again to go on."
                    )
        return self._export()

    def _one_step(self) -> dict[str, float]:
        """One update of the weights, or none when a number is not finite."""
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(settings, self.step)
        images, visible, scored = self._batch()
        # The floor is given in grey levels; the images are in units of their standard deviation by now.
        target = objective.targets(images, (settings.floor / 255.0 / self.std) ** 2)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            predicted = self.network(images, visible)
        loss, trivial = objective.masked_loss(predicted, target, scored)
        loss.backward()
        limit = settings.clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), limit)
        finite = bool(torch.isfinite(norm) & torch.isfinite(loss))
        if finite:
            self.optimizer.step()
            self.skipped_in_a_row = 0
        else:
            self._count_skipped()
        self.optimizer.zero_grad(set_to_none=True)
        return {
            "loss": loss.item(),
            "trivial_loss": trivial.item(),
            "lr": self.optimizer.param_groups[0]["lr"],
            "gradient_norm": norm.item(),
            "masked_cells": int(scored.sum().item()),
        }

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Prepared images, which of their cells are seen, and which are scored."""
        settings = self.settings
        random = sampling.generator(settings.seed, self.step)
        chosen = sampling.indices(settings.seed, self.step, settings.batch, len(self.images)).to(self.device)
        grey, sector = sampling.crop_and_flip(
            self.pixels[chosen], self.sector[chosen], settings.image_size, settings.crop, settings.flip, random
        )
        eligible = masking.eligible_cells(sector, settings.min_sector)
        noise = torch.rand(eligible.shape, generator=random).to(self.device)
        visible = masking.visible_cells(eligible, settings.mask_ratio, noise)
        return (grey / 255.0 - self.mean) / self.std, visible, ~visible

    def _count_skipped(self) -> None:
        self.skipped += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row >= GIVE_UP_AFTER:
            raise HarmbenchError(
                f"Loss or gradient was not finite in {GIVE_UP_AFTER} steps in a row, up to step {self.step}. The last "
                f"checkpoint in {self.out} is from before. Train in another folder with a lower learning rate "
                f"(it was {self.settings.lr:g}) or with precision fp32."
            )

    def _record(self, facts: dict[str, float], window: list[tuple[float, float]], rate: float) -> dict[str, Any]:
        finite = [pair for pair in window if math.isfinite(pair[0])] or [(math.nan, math.nan)]
        means = [sum(column) / len(finite) for column in zip(*finite, strict=True)]
        self.last = {
            "step": self.step,
            **facts,
            "loss": means[0],
            "trivial_loss": means[1],
            "images_per_second": rate,
            **stem_facts(self.network.stem.weight, self.start),
            "skipped_steps": self.skipped,
            "seconds": self.seconds,
        }
        return self.last

    def _save(self) -> None:
        checkpoint.save(
            self.out / checkpoint.NAME,
            {
                "identity": self.identity,
                "step": self.step,
                "skipped": self.skipped,
                "seconds": self.seconds,
                "last": self.last,
                "start": self.start,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
        )

    def _resume(self) -> None:
        path = self.out / checkpoint.NAME
        if not path.exists():
            return
        state = checkpoint.load(path)
        if state["identity"] != self.identity:
            theirs, ours = state["identity"]["settings"], self.settings.shaping()
            changed = [f"{key} {theirs.get(key)} -> {ours[key]}" for key in ours if theirs.get(key) != ours[key]]
            what = f"settings: {', '.join(changed)}" if changed else "images"
            raise UsageError(
                f"{path} belongs to a training with other {what}. "
                "Choose another folder, or delete the file to start again."
            )
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.start, self.last = state["start"], state["last"]
        self.step, self.skipped, self.seconds = state["step"], state["skipped"], state["seconds"]

    def _export(self) -> Path:
        provenance = self._provenance()
        path = export_kernels(
            self.out / KERNELS,
            self.network.stem.weight.detach().cpu().numpy(),
            self.network.stem.bias.detach().cpu().numpy(),
            mean=self.mean,
            std=self.std,
            provenance=provenance,
            licence=self.images.licence,
            synthetic=self.images.synthetic,
        )
        name = f"fcmae-{self.settings.size}-{self.images.name}"
        text = card(name, provenance, licence=self.images.licence, synthetic=self.images.synthetic)
        write_whole(self.out / CARD, text.encode())
        return path

    def _provenance(self) -> dict[str, Any]:
        from harmbench import __version__

        images = self.images
        facts = stem_facts(self.network.stem.weight, self.start)
        return {
            "kernels": len(self.start),
            "harmbench": __version__,
            "torch": torch.__version__,
            "data": {
                "name": images.name,
                "images": len(images),
                "skipped": len(images.skipped),
                "samples_sha256": images.ids_digest(),
                "pixels_sha256": images.digest(),
                **images.origin,
            },
            "settings": self.settings.shaping(),
            "result": {
                "steps": self.step,
                "images_seen": self.step * self.settings.batch,
                "seconds": round(self.seconds, 1),
                "device": device_name(self.device),
                "threads": torch.get_num_threads(),
                "precision": "bf16" if self.bf16 else "fp32",
                "loss": self.last["loss"],
                "trivial_loss": self.last["trivial_loss"],
                "skipped_steps": self.skipped,
                **facts,
                "kernel_diversity_at_start": stem_facts(self.start, self.start)["kernel_diversity"],
            },
        }


def find_device(name: str) -> torch.device:
    """The device behind "auto", "cpu" or "cuda"; UsageError where there is no such one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("device is 'cuda', but this torch sees no CUDA GPU. Use device 'auto' or 'cpu'.")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """What the model card says about the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def learning_rate(settings: Settings, step: int) -> float:
    """Linear warm-up to `lr`, then half a cosine down to 0, by step."""
    warm = round(settings.warmup * settings.steps)
    if step < warm:
        return settings.lr * (step + 1) / warm
    return settings.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, settings.steps - warm)))


def make_optimizer(network: MaskedAutoencoder, settings: Settings, fused: bool) -> torch.optim.AdamW:
    """AdamW without decay on norms, GRN, biases and the mask token."""
    decayed: list[Tensor] = []
    free: list[Tensor] = []
    for name, parameter in network.named_parameters():
        plain = parameter.ndim < 2 or "grn" in name or name == "mask_token"
        (free if plain else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.95), fused=fused)


__all__ = ["PretrainingStopped", "Settings", "pretrain"]
