"""The verb `harmbench pretrain`, which this plugin adds to the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmbench.cli.common import Json, Plugins, Quiet, note, progress, show_json

if TYPE_CHECKING:
    from harmbench.progress import ProgressFunction
    from harmbench_builtin.pretrain.distributed import World
    from harmbench_builtin.pretrain.images import PretrainingImages
    from harmbench_builtin.pretrain.settings import Settings
    from harmbench_builtin.pretrain.sources import Source


def pretrain(
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for checkpoint, log, kernels and their card.")],
    data: Annotated[
        str, typer.Option("--data", "-d", help="A folder of PNG/JPEG images, or a manifest CSV; default: the phantom.")
    ] = "",
    dataset: Annotated[
        str, typer.Option("--dataset", help="A data set (harmbench data list); --data is then what that one needs.")
    ] = "",
    images: Annotated[
        int | None, typer.Option("--images", min=1, help="How many phantom images to generate; default: 512.")
    ] = None,
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
    plugin: Plugins = None,
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
    from harmbench_builtin.pretrain.sources import Source, split_settings
    from harmbench_builtin.pretrain.stopping import PretrainingStopped, TrainingDiverged, ended_in_order
    from harmbench_builtin.pretrain.train import fitting
    from harmbench_builtin.pretrain.train import pretrain as train

    known = asdict(preset_of(preset))
    changes: dict[str, Any] = {"seed": seed}
    texts, parameters = split_settings(setting or (), dataset)
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise UsageError(f"--set {text!r} must read setting=value.{suggestion(name, known)}")
        changes[name] = _pair(value) if name == "crop" else convert(value, known[name], f"pretrain.{name}")
    changes |= {name: True for name, on in (("tensorboard", tensorboard), ("profile", profile)) if on}
    settings = preset_of(preset, **changes)
    source = Source(data, dataset, parameters, tuple(plugin or ()), images, scanners)
    with (
        connected(settings.device) as world,
        ended_in_order(world.first),
        progress(quiet or json or not world.first) as report,
    ):
        fitting(settings, world)  # before images are read, which may take long
        chosen = _images(source, settings, Path(out) / "images", world, report)
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
    source: Source, settings: Settings, files: Path, world: World, report: ProgressFunction
) -> PretrainingImages:
    """The images to train on; of several processes the first reads them, and all use its files."""
    from harmbench_builtin.pretrain import kept
    from harmbench_builtin.pretrain.sources import read

    if world.size == 1:
        return read(source, settings, files, report)
    world.first_does(lambda: kept.keep(read(source, settings, files, report), files))
    return kept.open_kept(files)
