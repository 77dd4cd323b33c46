"""A plugin small enough to check by hand: a data set in memory, an extractor, an evaluator and misbehaving methods."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harmbench import (
    DatasetSpec,
    Evaluation,
    EvaluatorSpec,
    ExtractorSpec,
    Features,
    FilteredImage,
    HarmonizerSpec,
    Image,
    ImageSet,
    MetricSpec,
    MetricValue,
    NotApplicable,
    Sample,
    hookimpl,
)


def tell(variable: str, line: str) -> None:
    """Append a line to the file that an environment variable names, if it does."""
    if os.environ.get(variable):
        with Path(os.environ[variable]).open("a") as file:
            file.write(line)


@dataclass(frozen=True)
class MemoryReader:
    """Images drawn from the sample's id: 6 x 6, manufacturer B twice as bright, class P one grey level higher."""

    def read(self, sample: Sample) -> Image:
        number = int(sample.image)
        noise = np.random.default_rng(number).normal(size=(6, 6))
        pixels = 10.0 + noise + (1.0 if number % 2 else 0.0)
        if sample.manufacturer == "B":
            pixels = pixels * 2
        mask = np.zeros((6, 6), bool)
        mask[1:5, 1:5] = True
        return Image(sample.id, pixels.astype(np.float32), mask, (1.0, 1.0))

    def digest(self, sample: Sample) -> str:
        return f"{sample.image}-{sample.manufacturer}"


class Tiny:
    def __init__(self, patients: int = 24) -> None:
        self.patients = patients

    def load(self, context) -> ImageSet:
        samples = []
        for i in range(self.patients):
            maker = "B" if i % 4 >= 2 else "A"
            label = "P" if i % 2 else "N"
            pair = f"pair{i}" if i < 4 else ""
            one = Sample(id=f"s{i}", image=str(i), mask="", manufacturer=maker, patient=f"p{i}", label=label, pair=pair)
            samples.append(one)
            if pair:
                other = "A" if maker == "B" else "B"
                samples.append(replace(one, id=f"s{i}x", image=str(1000 + i), manufacturer=other, split="paired"))
            context.progress("load", i + 1, self.patients)
        return ImageSet("tiny", tuple(samples), MemoryReader(), ("N", "P"), synthetic=True, notes=("made for tests",))


class MeanAndSd:
    def __init__(self, extra: int = 0) -> None:
        self.extra = extra

    def extract(self, images, context) -> Features:
        names, rows = (), []
        for image in images:
            tell("TINY_COUNT", f"{image.sample}\n")
            values = {}
            for name, pixels in zip(image.names, image.maps, strict=True):
                inside = pixels[image.mask]
                values[f"{name}_firstorder_Mean"] = inside.mean()
                values[f"{name}_firstorder_Sd"] = inside.std() + self.extra
            names = tuple(values)
            rows.append(list(values.values()))
        return Features(tuple(i.sample for i in images), names, np.array(rows))


class Gap:
    """Distance of the manufacturers' means, and of the classes' within manufacturer: both by hand."""

    def evaluate(self, result, context) -> Evaluation:
        t = result.scored
        a, b = (t.values[t.manufacturer == m].mean() for m in ("A", "B"))
        signal = t.values[t.label == 1].mean() - t.values[t.label == 0].mean()
        weights = context.resamples.astype(float)
        one = np.array(
            [t.values.mean(axis=1)[t.label == 1] @ w[t.label == 1] / w[t.label == 1].sum() for w in weights.T]
        )
        zero = np.array(
            [t.values.mean(axis=1)[t.label == 0] @ w[t.label == 0] / w[t.label == 0].sum() for w in weights.T]
        )
        return Evaluation(
            (
                MetricValue("gap", abs(a - b), n=len(t), replicates=np.full(weights.shape[1], abs(a - b))),
                MetricValue("gap", abs(a - b), "manufacturer", "A", n=len(t)),
                MetricValue("class_gap", signal, n=len(t), replicates=one - zero),
                MetricValue("class_gap", signal, "manufacturer", "A", n=len(t), replicates=one - zero),
            ),
            {"rows": {"sample": t.samples, "patient": t.patient, "score": t.values.mean(axis=1)}},
        )


class _Feature:
    def fit(self, table, context):
        return self

    def transform(self, table):
        return table


class WholeCohort(_Feature):
    """Transductive: takes the mean of all rows off, and knows only the rows of its fit."""

    def fit(self, table, context):
        self.samples, self.mean = set(table.samples.tolist()), table.values.mean(axis=0)
        return self

    def transform(self, table):
        strange = set(table.samples.tolist()) - self.samples
        if strange:
            raise NotApplicable(f"no map for {len(strange)} rows outside the fit")
        return table.with_values(table.values - self.mean)


class Center(_Feature):
    """Subtract each manufacturer's training mean."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def fit(self, table, context):
        self.means = {m: table.values[table.manufacturer == m].mean(axis=0) for m in table.manufacturers}
        return self

    def transform(self, table):
        return table.with_values(table.values - self.scale * np.array([self.means[m] for m in table.manufacturer]))


class Crashes(_Feature):
    def transform(self, table):
        print("about to crash")
        raise ZeroDivisionError("the sum of nothing")


class Mutates(_Feature):
    def transform(self, table):
        table.values[:] = 0
        return table


class Reorders(_Feature):
    def transform(self, table):
        return table.rows(np.arange(len(table))[::-1])


class MakesNan(_Feature):
    def transform(self, table):
        return table.with_values(table.values * np.nan)


class WantsLabel(_Feature):
    def fit(self, table, context):
        if table.label is not None:
            raise AssertionError("the label should have been withheld")
        raise NotApplicable("there is no label")


class Sleeps(_Feature):
    def fit(self, table, context):
        tell("TINY_ASLEEP", "zzz")
        time.sleep(30)
        return self


class EatsMemory(_Feature):
    def fit(self, table, context):
        raise MemoryError


class Killed(_Feature):
    def fit(self, table, context):
        os.kill(os.getpid(), 9)


class PeeksAtBatch(_Feature):
    """Declared inductive, but centres each call on its own rows."""

    def transform(self, table):
        return table.with_values(table.values - table.values.mean(axis=0))


class Brightness:
    """An image stage that fits: divides by the training images' mean grey level."""

    def fit(self, images, context):
        if any(sample.label for sample in images.samples):
            raise AssertionError("labels should have been withheld")
        self.level = float(np.mean([image.pixels[image.mask].mean() for image in images]))
        self.seen = len(images)
        return self

    def transform(self, image):
        maps = np.stack([image.pixels / self.level, image.pixels * 0 + image.pixels]).astype(float)
        return FilteredImage(image.sample, maps, ("divided", "same"), image.mask, image.spacing)


class Lazy:
    """An image stage without a fit, that fails on one image."""

    def __init__(self, bad: str = "") -> None:
        self.bad = bad

    def fit(self, images, context):
        raise AssertionError("it declares that it does not fit")

    def transform(self, image):
        if image.sample == self.bad:
            raise RuntimeError("no such filter")
        return FilteredImage(image.sample, image.pixels[None].astype(float), ("lazy",), image.mask)


def _method(name: str, cls: str, stage: str = "feature", **more) -> HarmonizerSpec:
    return HarmonizerSpec(
        name=name, target=f"{__name__}:{cls}", version="1", stage=stage, summary=cls, **more
    )  # fmt: skip


@hookimpl
def register_harmonizers():
    return [
        _method("center", "Center", uses_manufacturer="fit+transform", params={"scale": 1.0}),
        _method("whole-cohort", "WholeCohort", inductive=False),
        _method("whole-cohort-undeclared", "WholeCohort", handles_unseen_manufacturer=True),
        _method("crashes", "Crashes"),
        _method("mutates", "Mutates"),
        _method("reorders", "Reorders"),
        _method("makes-nan", "MakesNan"),
        _method("wants-label", "WantsLabel"),
        _method("sleeps", "Sleeps"),
        _method("eats-memory", "EatsMemory"),
        _method("killed", "Killed"),
        _method("peeks", "PeeksAtBatch", handles_unseen_manufacturer=True),
        _method("needs-moon", "Center", requires=("a_module_that_is_not_there",)),
        _method("brightness", "Brightness", stage="image", handles_unseen_manufacturer=True),
        _method("lazy", "Lazy", stage="image", fits=False, handles_unseen_manufacturer=True, params={"bad": ""}),
    ]


@hookimpl
def register_extractors():
    spec = ExtractorSpec(
        name="mean-and-sd", target=f"{__name__}:MeanAndSd", version="1", summary="two features", params={"extra": 0}
    )
    return [spec, replace(spec, name="moon-extractor", requires=("a_module_that_is_not_there",))]


@hookimpl
def register_evaluators():
    metrics = (
        MetricSpec(
            name="gap", label="Gap", goal="harmonization", direction="min", bounds=(0, 99), version=1, definition="gap",
            scopes=("overall", "manufacturer"),
        ),
        MetricSpec(
            name="class_gap", label="Class gap", goal="signal", direction="max", bounds=(-99, 99), version=1,
            definition="class gap", scopes=("overall", "manufacturer"),
        ),
    )  # fmt: skip
    return EvaluatorSpec(name="gap", target=f"{__name__}:Gap", version="1", summary="gaps", metrics=metrics)


@hookimpl
def register_datasets():
    return DatasetSpec(
        name="tiny",
        target=f"{__name__}:Tiny",
        version="1",
        summary="24 patients",
        synthetic=True,
        params={"patients": 24},
    )


@hookimpl
def register_commands(app):
    @app.command("tiny-hello")
    def hello() -> None:
        """Say hello."""
        print("hello from tiny")


@hookimpl
def provenance_facts():
    return {"tiny": True}


@hookimpl
def on_cell_finished(record):
    tell("TINY_EVENTS", f"cell {record['method']} {record['status']}\n")


@hookimpl
def on_run_finished(summary):
    tell("TINY_EVENTS", f"run {len(summary['records'])}\n")
