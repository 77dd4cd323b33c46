"""`harmbench kernels list|show|import`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmbench.cli.common import Json, note, show_json

if TYPE_CHECKING:
    from harmbench_builtin.harmonizers.ssl_kernel.kernels import Kernels
    from harmbench_builtin.kernels.facts import KernelFacts

app = typer.Typer(
    help="Kernels for ssl-kernel: those that ship, your own, and those of other networks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_(
    files: Annotated[list[str] | None, typer.Argument(help="Kernel files of your own, beside those that ship.")] = None,
    json: Json = False,
) -> int:
    """List kernels: size, what they were trained on, licence, how far from their random start, how diverse."""
    from harmbench_builtin.harmonizers.ssl_kernel import registry
    from harmbench_builtin.harmonizers.ssl_kernel.kernels import load_kernels
    from harmbench_builtin.kernels.facts import summary

    found = [summary(name, load_kernels(registry.resolve(name))) for name in registry.names()]
    found += [summary(file, load_kernels(Path(file).expanduser())) for file in files or ()]
    if json:
        show_json({"kernels": found})
        return 0
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if _terminal() else 200, highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for head in ("Kernels", "K", "Size", "Source", "Trained on", "Licence", "Drift", "Diversity", "Ids listed"):
        table.add_column(head, overflow="fold")
    for facts in found:
        table.add_row(*(Text(cell) for cell in _cells(facts)))
    console.print(table)
    console.print(
        "Drift: relative change of the weights from their random start, and cosine to it. Diversity: mean over pairs "
        "of 1 - |cosine|.\nUse: harmbench run --method ssl-kernel --set ssl-kernel.kernels=NAME-OR-FILE",
        style="dim",
        markup=False,
    )
    return 0


def _terminal() -> bool:
    import sys

    return sys.stdout.isatty()


def _cells(facts: dict[str, Any]) -> list[str]:
    images = f", {facts['images']} images" if facts["images"] is not None else ""
    drift = "–"
    if facts["stem_relative_change"] is not None:
        drift = f"{facts['stem_relative_change']:.2f}, cos {facts['stem_cosine']:.2f}"
    return [
        facts["name"],
        str(facts["kernels"]),
        f"{facts['height']} x {facts['width']}",
        facts["source"] or "–",
        (f"{facts['trained_on']}{images}" if facts["trained_on"] else "not recorded")
        + (" (SYNTHETIC)" if facts["synthetic"] else ""),
        facts["licence"] or "not recorded",
        drift,
        f"{facts['diversity']:.2f}",
        f"{facts['listed_patients']} patients, {facts['listed_images']} images" if facts["listed_images"] else "no",
    ]


@app.command("show")
def show(
    kernels: Annotated[str, typer.Argument(help="A name that ships, or a kernel file.")],
    picture: Annotated[
        str, typer.Option("--picture", help="Draw the kernels into this PNG, and their responses beside it.")
    ] = "",
    json: Json = False,
) -> int:
    """Show the card and the figures of kernels; with --picture also draw them and their frequency responses."""
    from dataclasses import asdict

    from harmbench.errors import UsageError
    from harmbench_builtin.harmonizers.ssl_kernel import registry
    from harmbench_builtin.harmonizers.ssl_kernel.kernels import load_kernels
    from harmbench_builtin.kernels.facts import kernel_facts, summary

    path = registry.resolve(kernels)
    loaded = load_kernels(path)
    if picture and Path(picture).suffix.lower() != ".png":
        raise UsageError(f"--picture {picture}: pictures are written as PNG; give a name that ends with .png.")
    facts = kernel_facts(loaded.weight)
    drawn = _draw(Path(picture).expanduser(), kernels, loaded) if picture else []
    if json:
        each = [{k: None if v != v else v for k, v in asdict(fact).items()} for fact in facts]
        show_json(
            {
                **summary(kernels, loaded),
                "provenance": loaded.provenance,
                "each": each,
                "pictures": [str(file) for file in drawn],
            }
        )
        return 0
    card = path.with_suffix(".md")
    if card.is_file():
        print(card.read_text(encoding="utf-8").rstrip())
    else:
        for name, value in summary(kernels, loaded).items():
            print(f"{name:22} {'not recorded' if value is None else value}")
    print(f"\n{_table(facts)}")
    for file in drawn:
        note(f"Written: {file}")
    return 0


def _table(facts: tuple[KernelFacts, ...]) -> str:
    lines = ["kernel      norm       sum  strongest at        direction  gain of flat"]
    for fact in facts:
        direction = "–" if math.isnan(fact.direction) else f"{fact.direction:.0f}°"
        lines.append(
            f"k{fact.number:02d}    {fact.norm:8.4f}  {fact.sum:8.4f}  {fact.frequency:.3f} cycles/px  {direction:>9}  "
            f"{fact.flat_share:12.2f}"
        )
    return "\n".join(lines)


def _draw(path: Path, name: str, kernels: Kernels) -> list[Path]:
    from harmbench_builtin.kernels.pictures import kernels_picture, responses_picture
    from harmbench_builtin.pretrain.export import write_whole

    count, height, width = kernels.weight.shape
    title = f"{Path(name).name}: {count} kernels of {height} x {width}"
    beside = path.with_name(f"{path.stem}-frequency.png")
    return [
        write_whole(path, kernels_picture(kernels.weight, title)),
        write_whole(beside, responses_picture(kernels.weight, f"{Path(name).name}: frequency responses")),
    ]


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="A weight file; with --from-hub, ORG/NAME[@revision][:file].")],
    out: Annotated[str, typer.Option("--out", "-o", help="The kernel file to make, NAME.safetensors.")],
    key: Annotated[str, typer.Option("--key", help="The layer's name in the file, such as conv1.weight.")] = "",
    mean: Annotated[
        str, typer.Option("--mean", help="The network saw (x / 255 - mean) / std: a number or R,G,B.")
    ] = "",
    std: Annotated[str, typer.Option("--std", help="See --mean.")] = "",
    colour: Annotated[
        str, typer.Option("--colour", help="fold: as for a grey image (exact). red, green, blue: that channel alone.")
    ] = "fold",
    fold_batchnorm: Annotated[
        bool, typer.Option("--fold-batchnorm", help="Include the BatchNorm that follows the layer (ResNet).")
    ] = False,
    licence: Annotated[str, typer.Option("--licence", help="Where it is not known: that of the weights.")] = "",
    trained_on: Annotated[str, typer.Option("--trained-on", help="For the record: the data of the training.")] = "",
    from_hub: Annotated[
        bool, typer.Option("--from-hub", help="Download from the Hugging Face hub (or the one HF_ENDPOINT names).")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files of that name.")] = False,
    json: Json = False,
) -> int:
    """Make a kernel file of the first layer of another network: ConvNeXt, ResNet, ViT, or any by --key.

    Nothing is downloaded without --from-hub, and nothing in a weight file is executed.
    """
    from harmbench.errors import UsageError
    from harmbench_builtin.harmonizers.ssl_kernel.kernels import load_kernels
    from harmbench_builtin.kernels.importing import card, import_kernels
    from harmbench_builtin.pretrain.export import export_kernels, write_whole

    path = Path(out).expanduser()
    if path.suffix != ".safetensors":
        raise UsageError(f"--out {out}: a kernel file's name ends with .safetensors.")
    there = next((file for file in (path, path.with_suffix(".md")) if file.exists()), None)
    if there is not None and not force:
        raise UsageError(f"{there} exists. Choose another name, or replace it with --force.")
    imported = import_kernels(
        source,
        key=key,
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        colour=colour,
        batch_norm=fold_batchnorm,
        licence=licence,
        trained_on=trained_on,
        from_hub=from_hub,
    )
    export_kernels(
        path,
        imported.grey.weight[:, None],
        imported.grey.bias,
        mean=0.0,
        std=1.0,
        provenance=imported.provenance,
        licence=imported.licence,
        synthetic=False,
        double=True,
    )
    write_whole(path.with_suffix(".md"), card(path.stem, imported).encode())
    load_kernels(path)  # what was written is what a run will read
    if json:
        show_json(
            {
                "file": str(path),
                "kernels": len(imported.grey.weight),
                "licence": imported.licence,
                "source": imported.provenance["source"],
                "remarks": list(imported.remarks),
            }
        )
        return 0
    for remark in imported.remarks:
        note(remark)
    note(f"SHA-256 of the source: {imported.provenance['source']['sha256']}")
    note(f"Written: {path} (card: {path.with_suffix('.md').name})")
    note(f"Use them with: harmbench run --method ssl-kernel --set ssl-kernel.kernels={path}")
    return 0


def _numbers(option: str, text: str) -> tuple[float, ...]:
    from harmbench.errors import UsageError

    try:
        return tuple(float(part) for part in text.split(",")) if text.strip() else ()
    except ValueError:
        raise UsageError(f"{option} takes one number or three such as 0.485,0.456,0.406, not {text!r}.") from None
