"""The verb `harmbench pretrain`, which this plugin adds to the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmbench.cli.common import Json, Quiet, note, progress, show_json

if TYPE_CHECKING:
    from harmbench.progress import ProgressFunction
    from harmbench_builtin.pretrain.data import PretrainingImages
    from harmbench_builtin.pretrain.distributed import World
    from harmbench_builtin.pretrain.settings import Settings


def pretrain(
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for checkpoint, log, kernels and their card.")],
    data: Annotated[
        str, typer.Option("--data", "-d", help="A folder of PNG/JPEG images, or a manifest CSV; default: the phantom.")
    ] = "",
    images: Annotated[int, typer.Option("--images", min=1, help="How many phantom images to generate.")] = 512,
    scanners: Annotated[
        str,
        typer.Option("--scanners", help="Of phantom images: virtual, or a mix such as GE-like:4,Philips-like:1."),
    ] = "virtual",
    preset: Annotated[str, typer.Option("--preset", help="echo (ours) or official (the published code's).")] = "echo",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="setting=value, such as steps=600 or size=atto (repeatable).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of weights, crops, masks and phantom images.")] = 0,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write the log for TensorBoard, too.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Write a trace of a few steps (torch.profiler).")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a masked autoencoder on unlabelled images and export its stem as kernels for ssl-kernel.

    Ctrl-C saves; the same command goes on. Use the kernels with --set ssl-kernel.kernels=OUT/kernels.safetensors
    Several GPUs: torchrun --standalone --nproc-per-node=N -m harmbench pretrain ...
    """
    from dataclasses import asdict

    from harmbench.errors import UsageError, suggestion
    from harmbench.methods import convert
    from harmbench_builtin.pretrain.distributed import connected
    from harmbench_builtin.pretrain.presets import preset as preset_of
    from harmbench_builtin.pretrain.stopping import PretrainingStopped, TrainingDiverged
    from harmbench_builtin.pretrain.train import pretrain as train

    known = asdict(preset_of(preset))
    changes: dict[str, Any] = {"seed": seed}
    for text in setting or ():
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise UsageError(f"--set {text!r} must read setting=value.{suggestion(name, known)}")
        changes[name] = _pair(value) if name == "crop" else convert(value, known[name], f"pretrain.{name}")
    changes |= {name: True for name, on in (("tensorboard", tensorboard), ("profile", profile)) if on}
    settings = preset_of(preset, **changes)
    if data and scanners != "virtual":
        raise UsageError("--scanners is about phantom images; it does not go with --data.")
    with connected(settings.device) as world, progress(quiet or json or not world.first) as report:
        chosen = _images(data, images, scanners, settings, Path(out) / "images", world, report)
        if world.first:
            for name, why in chosen.skipped:
                note(f"left out: {name}: {why}")
        try:
            kernels = train(chosen, out, settings, report)
        except (PretrainingStopped, TrainingDiverged) as error:
            if world.first:
                raise
            raise typer.Exit(error.exit_code) from error  # one process is enough to say it
    if not world.first:
        return 0
    if json:
        show_json({"kernels": str(kernels), "images": len(chosen), "skipped": [list(s) for s in chosen.skipped]})
    else:
        note(f"Kernels: {kernels} (card: {kernels.with_suffix('.md').name}, log: log.jsonl)")
        note(f"Use them with: harmbench run --method ssl-kernel --set ssl-kernel.kernels={kernels}")
    return 0


def _pair(text: str) -> tuple[float, float]:
    from harmbench.errors import UsageError

    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"crop takes two shares such as 0.2,1.0, not {text!r}.") from None
    return (low, high)


def _images(
    data: str, count: int, mix: str, settings: Settings, files: Path, world: World, report: ProgressFunction
) -> PretrainingImages:
    """The images to train on; of several processes the first reads them, and all use its files."""
    from harmbench_builtin.pretrain import kept

    if world.size == 1:
        return _read(data, count, mix, settings, files, report)
    world.first_does(lambda: kept.keep(_read(data, count, mix, settings, files, report), files))
    return kept.open_kept(files)


def _read(
    data: str, count: int, mix: str, settings: Settings, files: Path, report: ProgressFunction
) -> PretrainingImages:
    from harmbench_builtin.pretrain import data as source

    pairs = settings.consistency > 0 and settings.views == "pairs"
    if not data:
        from harmbench.run.run import default_jobs

        return source.from_phantom(
            count, settings.seed, n_jobs=default_jobs(), progress=report, pairs=pairs, scanners=mix
        )
    in_memory = 0 if settings.residence == "memory-map" else source.IN_MEMORY
    if data.endswith(".csv"):
        from harmbench.components import DatasetContext
        from harmbench_builtin.datasets.image_folder import ImageFolder

        found = ImageFolder().load(DatasetContext(data=data))
        if pairs:
            from harmbench_builtin.pretrain.pairs import from_paired_image_set

            return from_paired_image_set(found, progress=report)
        return source.from_image_set(found, progress=report, files=files, in_memory=in_memory)
    return source.from_folder(data, progress=report, files=files, in_memory=in_memory)
