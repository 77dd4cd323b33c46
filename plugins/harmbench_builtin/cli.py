"""The verb `harmbench pretrain`, which this plugin adds to the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmbench.cli.common import Json, Quiet, note, progress, show_json

if TYPE_CHECKING:
    from harmbench_builtin.pretrain.data import PretrainingImages


def pretrain(
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for checkpoint, log, kernels and their card.")],
    data: Annotated[
        str, typer.Option("--data", "-d", help="A folder of PNG/JPEG images, or a manifest CSV; default: the phantom.")
    ] = "",
    images: Annotated[int, typer.Option("--images", min=1, help="How many phantom images to generate.")] = 512,
    preset: Annotated[str, typer.Option("--preset", help="echo (ours) or official (the published code's).")] = "echo",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="setting=value, such as steps=600 or size=atto (repeatable).")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of weights, crops, masks and phantom images.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a masked autoencoder on unlabelled images and export its stem as kernels for ssl-kernel.

    Ctrl-C saves; the same command goes on. Use the kernels with --set ssl-kernel.kernels=OUT/kernels.safetensors
    """
    from dataclasses import asdict

    from harmbench.errors import UsageError, suggestion
    from harmbench.methods import convert
    from harmbench_builtin.pretrain.presets import preset as preset_of
    from harmbench_builtin.pretrain.train import pretrain as train

    known = asdict(preset_of(preset))
    changes: dict[str, Any] = {"seed": seed}
    for text in setting or ():
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise UsageError(f"--set {text!r} must read setting=value.{suggestion(name, known)}")
        changes[name] = _pair(value) if name == "crop" else convert(value, known[name], f"pretrain.{name}")
    settings = preset_of(preset, **changes)
    with progress(quiet or json) as report:
        paired = settings.consistency > 0 and settings.views == "pairs"
        chosen = _images(data, images, seed, paired, report)
        for name, why in chosen.skipped:
            note(f"left out: {name}: {why}")
        kernels = train(chosen, out, settings, report)
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


def _images(data: str, count: int, seed: int, pairs: bool, report: Any) -> PretrainingImages:
    from harmbench_builtin.pretrain import data as source

    if not data:
        from harmbench.run.run import default_jobs

        return source.from_phantom(count, seed, n_jobs=default_jobs(), progress=report, pairs=pairs)
    if data.endswith(".csv"):
        from harmbench.components import DatasetContext
        from harmbench_builtin.datasets.image_folder import ImageFolder

        found = ImageFolder().load(DatasetContext(data=data))
        if pairs:
            from harmbench_builtin.pretrain.pairs import from_paired_image_set

            return from_paired_image_set(found, progress=report)
        return source.from_image_set(found, progress=report)
    return source.from_folder(data, progress=report)
