"""`harmbench data list|describe|validate|generate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmbench.cli.common import Jobs, Json, Plugins, Quiet, folder, note, progress, show_json

if TYPE_CHECKING:
    from harmbench.components import DatasetContext
    from harmbench.data import ImageSet
    from harmbench.errors import DataError
    from harmbench.methods import Component
    from harmbench.progress import ProgressFunction

app = typer.Typer(help="Data sets: list, describe, validate, generate.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A data set; image-folder when only --data is given.")]
Data = Annotated[str, typer.Option("--data", "-d", help="The manifest CSV, or the data set's folder.")]
Setting = Annotated[list[str] | None, typer.Option("--set", help="parameter=value of the data set (repeatable).")]


@app.command("list")
def list_(plugin: Plugins = None, json: Json = False) -> int:
    """List the data sets."""
    from harmbench.cli.listing import list_ as listing

    return listing("datasets", plugin, json)


def _component(name: str, data: str, settings: list[str] | None, plugin: list[str] | None) -> Component:
    from harmbench.errors import UsageError
    from harmbench.methods import component
    from harmbench.plugins import build_registry

    if not name and not data:
        raise UsageError("Name a data set (harmbench data list), or give --data manifest.csv.")
    spec = build_registry(plugin or ()).datasets.get(name or "image-folder")
    given = {}
    for text in settings or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r} must read parameter=value.")
        given[key.strip().removeprefix(f"{spec.name}.")] = value.strip()
    return component(spec, given)


def _context(data: str, jobs: int, report: Any) -> DatasetContext:
    from harmbench.components import DatasetContext
    from harmbench.run.cache import cache_folder
    from harmbench.run.run import default_jobs

    return DatasetContext(
        data=data or None, cache=str(cache_folder() / "datasets"), n_jobs=jobs or default_jobs(), progress=report
    )


@app.command("describe")
def describe(
    name: Name = "",
    data: Data = "",
    setting: Setting = None,
    jobs: Jobs = 0,
    plugin: Plugins = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Say what a data set holds: counts per manufacturer and label, pairs, covariates, spacing, notes."""
    part = _component(name, data, setting, plugin)
    with progress(quiet or json) as report:
        images: ImageSet = part.build().load(_context(data, jobs, report))
    from harmbench.design import crosstab, design_notes

    scored = [s for s in images.samples if s.split != "paired"]
    spacings = {s.spacing for s in images.samples}
    facts = {
        "name": images.name,
        "synthetic": images.synthetic,
        "licence": part.spec.licence,
        "images": len(scored),
        "paired_images": len(images) - len(scored),
        "patients": len({s.patient for s in scored}),
        "pairs": len({s.pair for s in images.samples if s.pair}),
        "classes": {"negative": images.classes[0], "positive": images.classes[1]},
        "covariates": sorted({c for s in images.samples for c in s.covariates}),
        "spacings_mm": sorted(s for s in spacings if s is not None),
        "notes": [*images.notes, *design_notes(scored, images.classes)],
    }
    if json:
        counts: dict[str, dict[str, int]] = {}
        for s in scored:
            counts.setdefault(s.manufacturer, {}).setdefault(s.label, 0)
            counts[s.manufacturer][s.label] += 1
        show_json({**facts, "counts": counts})
        return 0
    print(f"{images.name}{' (SYNTHETIC)' if images.synthetic else ''}")
    print(f"{facts['images']} images of {facts['patients']} patients, {facts['paired_images']} more for pairs")
    print(crosstab(scored))
    print(f"positive class: {images.classes[1]}; negative: {images.classes[0]}")
    print(f"pairs: {facts['pairs']}; covariates: {', '.join(facts['covariates']) or 'none'}")
    shown = ", ".join(f"{r:g} x {c:g}" for r, c in facts["spacings_mm"][:5]) or "unknown"
    print(f"pixel spacing, mm: {shown}{' ...' if len(facts['spacings_mm']) > 5 else ''}")
    for text in facts["notes"]:
        print(f"note: {text}")
    return 0


@app.command("validate")
def validate(
    name: Name = "",
    data: Data = "",
    setting: Setting = None,
    jobs: Jobs = 0,
    plugin: Plugins = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Read every image and check the design; print all problems. Exit code 0: fit to run, 3: not."""
    from harmbench.errors import DataError
    from harmbench.problems import DataErrors

    part = _component(name, data, setting, plugin)
    problems: list[DataError] = []
    notes: list[str] = []
    images: ImageSet | None = None
    partial = False
    with progress(quiet or json) as report:
        try:
            images = part.build().load(_context(data, jobs, report))
        except DataErrors as error:
            problems += error.problems
            images, partial = error.images, error.partial
        except DataError as error:
            problems.append(error)
        if images is not None:
            found, notes = _inspect(images, partial, problems, part, report)
            problems += found
    count = 0 if images is None else len(images)
    if json:
        show_json(
            {
                "images": count,
                "ok": not problems,
                "problems": [
                    {"message": str(p), "file": p.file, "row": p.row, "column": p.column, "remedy": p.remedy}
                    for p in problems
                ],
                "notes": notes,
            }
        )
        return 3 if problems else 0
    for problem in problems:
        print(f"PROBLEM: {problem}")
    for text in notes:
        print(f"note: {text}")
    print(
        f"{len(problems)} problem{'s' if len(problems) > 1 else ''}."
        if problems
        else f"{count} images, no problems: fit to run."
    )
    return 3 if problems else 0


def _inspect(
    images: ImageSet, partial: bool, known: list[DataError], part: Component, report: ProgressFunction
) -> tuple[list[DataError], list[str]]:
    """Problems beyond those `known` from loading, and notes."""
    from harmbench.design import design_notes, design_problems
    from harmbench.image_checks import check_images

    dataset = part.spec.name if "exclude" in part.spec.params else ""
    problems = list(
        design_problems(
            images.samples, images.classes, file=images.file, rows=images.rows, dataset=dataset, partial=partial
        )
    )
    named = {problem.row for problem in known if problem.column in ("image", "mask")}
    readable = [i for i in range(len(images)) if not images.rows or images.rows[i] not in named]
    problems += check_images(images.subset(readable), report)
    if partial:
        return problems, ["classes, manufacturers and hold-out are checked once the manifest is right"]
    return problems, [*images.notes, *design_notes(images.samples, images.classes)]


@app.command("generate")
def generate(
    name: Annotated[str, typer.Argument(help="A data set that generates its images, such as plax-phantom.")],
    out: Annotated[str, typer.Option("--out", "-o", help="The folder to make.")],
    setting: Setting = None,
    jobs: Jobs = 0,
    plugin: Plugins = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write a generated data set into a folder: images, masks and the manifest that `run --data` reads."""

    from harmbench.errors import UsageError
    from harmbench.run.run import default_jobs

    target = folder(out)
    part = _component(name, "", setting, plugin)
    dataset = part.build()
    if not hasattr(dataset, "generate"):
        raise UsageError(f"Data set '{name}' is read, not generated.")
    with progress(quiet or json) as report:
        dataset.generate(target, jobs or default_jobs(), report)
    manifest = target / "manifest.csv"
    if json:
        show_json({"folder": out, "manifest": str(manifest)})
    else:
        note(f"Written. Run on it with: harmbench run --data {manifest} --method ssl-kernel")
    return 0
