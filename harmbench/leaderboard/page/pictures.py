"""Kernels, and an example image of each manufacturer before and after every image stage.

Images are read from the data set, not from the run folder, which keeps none. They are drawn for simulated data, and for
others only when asked: a page may travel further than the images in it are allowed to.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.components import Context, DatasetContext
from harmbench.data import FilteredImage, Floats, Image, ImageSet, Sample
from harmbench.errors import HarmbenchError, UsageError
from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.page.evidence import Evidence, Example, KernelPicture
from harmbench.leaderboard.render import number
from harmbench.methods import Component, component
from harmbench.plugins import Registry, missing_requirements
from harmbench.progress import no_progress
from harmbench.run.cache import Cache
from harmbench.run.images import original

SIDE = 224
"""Longer side of an example picture, pixels at most."""
FIT_ON = 40
"""Images that an image stage which learns is fitted on for the example."""
_TILE = 40
_MOST_KERNELS = 64
_DIVERGING = ((33, 82, 160), (146, 186, 222), (247, 247, 247), (240, 160, 130), (170, 24, 40))

Bytes = npt.NDArray[np.uint8]


def add_pictures(
    evidence: Evidence,
    board: Board,
    registry: Registry,
    *,
    examples: bool | None = None,
    data: str | None = None,
    known: Callable[[str], bool] = lambda sample: True,
) -> None:
    """Put kernels and example images into the evidence; what cannot be drawn leaves its reason there.

    Parameters
    ----------
    evidence : Evidence
        Gets them.
    board : Board
    registry : Registry
    examples : bool, optional
        Draw images; by default of simulated data only.
    data : str, optional
        `--data` of a data set that needs it.
    known : callable
        Whether a sample id is one of the run's.

    Raises
    ------
    UsageError
        Images of real data were asked for, and cannot be read.
    """
    wanted = board.synthetic if examples is None else examples
    images: ImageSet | None = None
    if wanted:
        try:
            images = _load(board, registry, data, known)
        except HarmbenchError as error:
            if examples:
                raise
            evidence.absent["examples"] = f"The images cannot be made here: {error}"
    else:
        evidence.absent["examples"] = (
            "Images of these data are not shown: a page may travel further than they are allowed to. "
            "`harmbench leaderboard build --example-images --data ...` draws one per manufacturer."
            if not board.synthetic
            else "Not asked for."
        )
    stages = image_stages(board, registry, evidence)
    shown = pick(images) if images is not None else []
    if images is not None:
        evidence.examples[""] = [_example(s, original(images.reader.read(s))) for s in shown]
    blank = Image("", np.zeros((64, 64), np.float32), np.ones((64, 64), bool))
    for row, stage in stages:
        built = stage.build()
        name = str(stage)
        if hasattr(built, "linear"):
            bank = built.linear(images.reader.read(shown[0]) if images is not None and shown else blank)
            if bank is not None:
                evidence.kernels[name] = kernel_picture(bank.kernels)
        if images is not None:
            try:
                evidence.examples[name] = _filtered(row, board, stage, built, images, shown)
            except HarmbenchError as error:
                evidence.absent[f"example images of {name}"] = str(error)


def image_stages(board: Board, registry: Registry, evidence: Evidence) -> list[tuple[Row, Component]]:
    """Every image stage once, as the run had it, with the method that has least besides."""
    found: dict[str, tuple[Row, Component]] = {}
    for row in sorted(board.rows, key=lambda row: len(row.stages)):
        facts: Mapping[str, Any] = row.stages[0] if row.stages else {"stage": "feature"}
        if facts["stage"] != "image" or row.status != "ok":
            continue
        key = f"{facts['name']} {facts['params']}"
        if key in found:
            continue
        try:
            spec = registry.harmonizers.get(facts["name"])
            if spec.version != facts["version"]:
                raise UsageError(f"version {facts['version']} was run, {spec.version} is installed.")
            if needed := missing_requirements(spec):
                raise UsageError(f"needs {', '.join(needed)}, which is not installed.")
            stage = component(spec, facts["params"])
            stage.build()
            found[key] = (row, stage)
        except HarmbenchError as error:
            evidence.absent[f"kernels of {row.method}"] = str(error)
    return list(found.values())


def _load(board: Board, registry: Registry, data: str | None, known: Callable[[str], bool]) -> ImageSet:
    facts = board.settings["dataset"]
    spec = registry.datasets.get(facts["name"])
    if spec.version != facts["version"]:
        raise UsageError(f"data set '{spec.name}' {facts['version']} was run, {spec.version} is installed.")
    if spec.needs_data and not data:
        raise UsageError(f"--example-images needs --data: {spec.needs_data}.")
    context = DatasetContext(
        seed=board.seed, data=data, cache=str(Cache().root / "datasets"), progress=no_progress
    )  # fmt: skip
    images: ImageSet = component(spec, facts["params"]).build().load(context)
    if not all(known(s.id) for s in images.samples):
        raise UsageError("these are not the images that the run was made from.")
    return images


def pick(images: ImageSet) -> list[Sample]:
    """One image per manufacturer: of one object on all scanners where there is such, else the first of each."""
    makers = sorted({s.manufacturer for s in images.samples})
    pairs: dict[str, dict[str, Sample]] = {}
    for s in images.samples:
        if s.pair:
            pairs.setdefault(s.pair, {}).setdefault(s.manufacturer, s)
    whole = next((by for by in pairs.values() if len(by) == len(makers)), None)
    first = {s.manufacturer: s for s in reversed(images.samples)}
    return [(whole or first)[maker] for maker in makers]


def _example(sample: Sample, filtered: FilteredImage, limits: tuple[float, float] | None = None) -> Example:
    return Example(
        manufacturer=sample.manufacturer, map="", picture=grey_picture(filtered.maps[0], limits or (0.0, 255.0))
    )


def _filtered(
    row: Row, board: Board, stage: Component, built: Any, images: ImageSet, shown: Sequence[Sample]
) -> list[Example]:
    note, fitted = "", built
    if stage.spec.fits:
        patients = {s.patient for s in shown}
        others = [i for i, s in enumerate(images.samples) if s.patient not in patients and not s.pair][:FIT_ON]
        fitted = built.fit(images.subset(others), Context(seed=board.seed)) or built
        note = f"fitted on {len(others)} images of other patients"
    maps = [fitted.transform(images.reader.read(s)) for s in shown]
    found = []
    for k, title in chosen_maps(row, board.ranking["goal"], maps[0].names):
        values = np.concatenate([m.maps[k].ravel() for m in maps])
        # One scale for all manufacturers: what differs between the pictures differs between the maps.
        limits = (float(np.quantile(values, 0.005)), float(np.quantile(values, 0.995)))
        for sample, one in zip(shown, maps, strict=True):
            example = _example(sample, FilteredImage(one.sample, one.maps[k][None], (one.names[k],), one.mask), limits)
            found.append(example.model_copy(update={"map": title, "note": note}))
    return found


def chosen_maps(row: Row, goal: str, names: Sequence[str]) -> list[tuple[int, str]]:
    """Which maps to show: those with the least and the largest goal figure; (position, title)."""
    if len(names) == 1:
        return [(0, names[0])]
    figures: Mapping[str, Figure] = row.other.get(goal, {})
    value = {k: figures[n].value for k, n in enumerate(names) if n in figures}
    known = sorted((v, k) for k, v in value.items() if v is not None)
    if not known:
        return [(0, names[0])]
    (low, a), (high, b) = known[0], known[-1]
    return [(a, f"{names[a]}, least JSD ({number(low)})"), (b, f"{names[b]}, largest JSD ({number(high)})")]


def grey_picture(values: Floats, limits: tuple[float, float]) -> str:
    """A map as a JPEG data URI, grey between two limits."""
    from PIL import Image as Picture

    low, high = limits
    share = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    picture = Picture.fromarray(np.rint(255 * share).astype(np.uint8))
    picture.thumbnail((SIDE, SIDE))
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(sink.getvalue()).decode()


def kernel_picture(kernels: Floats) -> KernelPicture:
    """Kernels (K, h, w) side by side: blue below 0, white at 0, red above, each by its own largest weight."""
    from PIL import Image as Picture

    count, height, width = kernels.shape
    drawn = kernels[:_MOST_KERNELS]
    times = max(1, _TILE // max(height, width))
    tall, wide = height * times, width * times
    columns = min(len(drawn), 10)
    lines = -(-len(drawn) // columns)
    canvas = np.full((lines * (tall + 4) - 4, columns * (wide + 4) - 4, 4), 0, np.uint8)
    for i, kernel in enumerate(drawn):
        largest = float(np.abs(kernel).max()) or 1.0
        top, left = (i // columns) * (tall + 4), (i % columns) * (wide + 4)
        tile = _coloured(0.5 + 0.5 * kernel / largest).repeat(times, 0).repeat(times, 1)
        canvas[top : top + tall, left : left + wide, :3] = tile
        canvas[top : top + tall, left : left + wide, 3] = 255
    sink = io.BytesIO()
    Picture.fromarray(canvas, "RGBA").quantize(64).save(sink, "PNG", optimize=True)
    uri = "data:image/png;base64," + base64.b64encode(sink.getvalue()).decode()
    return KernelPicture(picture=uri, count=count, shape=(height, width))


def _coloured(shares: Floats) -> Bytes:
    at = np.linspace(0, 1, len(_DIVERGING))
    return np.stack([np.interp(shares, at, [p[c] for p in _DIVERGING]) for c in range(3)], axis=-1).astype(np.uint8)
