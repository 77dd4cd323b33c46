"""Extractors, evaluators and data sets of which each is wrong in one way. A loose plugin file."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from harmbench import (
    DatasetSpec,
    Evaluation,
    EvaluatorSpec,
    ExtractorSpec,
    Features,
    Image,
    ImageSet,
    MetricSpec,
    MetricValue,
    Sample,
    hookimpl,
)

COUNTER = itertools.count()

# Extractors


class HonestExtractor:
    """Mean and spread of the grey levels in the mask."""

    feature_names = ("Mean", "Sd")

    def extract(self, images, context):
        rows = [self.row(image) for image in images]
        names = [f"{m}_firstorder_{f}" for m in images[0].names for f in self.feature_names]
        return Features(tuple(i.sample for i in images), tuple(names), np.array(rows))

    def row(self, image):
        return [v for m in image.maps for v in self.of(m[image.mask])]

    def of(self, inside):
        return [inside.mean(), inside.std()]


class ReversesImages(HonestExtractor):
    def extract(self, images, context):
        return super().extract(images[::-1], context)


class NamesTheSample(HonestExtractor):
    def extract(self, images, context):
        done = super().extract(images, context)
        return replace(done, names=tuple(f"{n}{images[0].sample[-1]}" for n in done.names))


class NamesNoMap(HonestExtractor):
    def extract(self, images, context):
        done = super().extract(images, context)
        return replace(done, names=tuple(f"feature_{i}" for i in range(len(done.names))))


class ScalesTheBatch(HonestExtractor):
    def extract(self, images, context):
        done = super().extract(images, context)
        return replace(done, values=done.values - done.values.mean(axis=0))


class MutatesMaps(HonestExtractor):
    def row(self, image):
        image.maps[:] -= image.maps.mean()
        return super().row(image)


class CountsCalls(HonestExtractor):
    def of(self, inside):
        return [inside.mean() + next(COUNTER), inside.std()]


class UsesTheWholeImage(HonestExtractor):
    def row(self, image):
        return [v for m in image.maps for v in self.of(m)]


class SkewOfNothing(HonestExtractor):
    def of(self, inside):
        with np.errstate(all="ignore"):
            return [inside.mean(), ((inside - inside.mean()) ** 3).mean() / inside.std() ** 3]


class PrintingExtractor(HonestExtractor):
    def row(self, image):
        print("extracting")
        return super().row(image)


class WrongLinear(HonestExtractor):
    def extract_linear(self, sample, pixels, kernels, bias, names, mask, spacing, context):
        columns = tuple(f"{m}_firstorder_{f}" for m in names for f in self.feature_names)
        return Features((sample,), columns, np.zeros((1, len(columns))))


# Evaluators


class HonestEvaluator:
    """Largest share of a feature's variance between manufacturers, over features."""

    def value(self, result, context):
        t = result.scored
        total = t.values.var(axis=0) + 1e-12
        means = np.array([t.values[t.manufacturer == m].mean(axis=0) for m in t.manufacturers])
        share = np.array([(t.manufacturer == m).mean() for m in t.manufacturers])
        between = share @ (means - share @ means) ** 2
        return float((between / total).mean())

    def evaluate(self, result, context):
        return Evaluation((MetricValue(self.metric, self.value(result, context), n=len(result.scored)),))

    metric = "between"


class Upside(HonestEvaluator):
    def value(self, result, context):
        return 1 - super().value(result, context)


class Blind(HonestEvaluator):
    def value(self, result, context):
        return 0.5


class Undeclared(HonestEvaluator):
    metric = "something_else"


class TooLarge(HonestEvaluator):
    def value(self, result, context):
        return 10 * super().value(result, context)


class ByPosition(HonestEvaluator):
    """Takes the manufacturers of the folds, one after the other, for those of the rows."""

    def value(self, result, context):
        tests = [f.test for f in result.of("cross-validation")]
        maker = np.concatenate([t.manufacturer for t in tests])
        scored = replace(result.scored, manufacturer=maker)
        return super().value(replace(result, scored=scored), context)


class CountsRows(HonestEvaluator):
    """A sum that doubles when every row is there twice."""

    def value(self, result, context):
        return min(1.0, super().value(result, context) * len(result.scored) / 150)


class CallsRandom(HonestEvaluator):
    def value(self, result, context):
        return super().value(result, context) + 1e-3 * np.random.random()  # noqa: NPY002


class MutatesTables(HonestEvaluator):
    def value(self, result, context):
        result.scored.values[:] -= result.scored.values.mean(axis=0)
        return super().value(result, context)


class PrintingEvaluator(HonestEvaluator):
    def value(self, result, context):
        print("evaluating")
        return super().value(result, context)


class ForgetsOnRecompute(HonestEvaluator):
    def recompute(self, stored, context):
        return Evaluation((MetricValue(self.metric, 0.25),))


# Data sets


@dataclass(frozen=True)
class Reader:
    dtype: str = "float32"
    constant: bool = False
    changing: bool = False
    extra: object = field(default=None, hash=False, compare=False)

    def read(self, sample):
        jitter = next(COUNTER) if self.changing else 0
        pixels = np.random.default_rng([int(sample.image), jitter]).rayleigh(size=(12, 12)) * 40
        mask = np.zeros((12, 12), bool)
        mask[3:9, 3:9] = True
        return Image(sample.id, pixels.astype(self.dtype), mask, sample.spacing)

    def digest(self, sample):
        return "the same" if self.constant else f"image {sample.image}"


class HonestData:
    makers = ("A", "B")
    reader = Reader()
    synthetic = True

    def samples(self):
        return tuple(
            Sample(
                id=f"s{i}",
                image=str(i),
                mask="",
                manufacturer=self.makers[i % len(self.makers)],
                patient=f"p{i}",
                label="one" if i // 2 % 2 else "two",
            )
            for i in range(24)
        )

    def load(self, context):
        return ImageSet("data", self.samples(), self.reader, ("one", "two"), synthetic=self.synthetic)


class TwiceTheSame(HonestData):
    def samples(self):
        some = super().samples()
        return (*some, some[0])


class LabelAmongCovariates(HonestData):
    def samples(self):
        return tuple(replace(s, covariates={"label": s.label}) for s in super().samples())


class OneMaker(HonestData):
    makers = ("A",)


class Confounded(HonestData):
    def samples(self):
        return tuple(replace(s, label="one" if s.manufacturer == "A" else "two") for s in super().samples())


class DoublePixels(HonestData):
    reader = Reader(dtype="float64")


class ChangingPixels(HonestData):
    reader = Reader(changing=True)


class OneDigest(HonestData):
    reader = Reader(constant=True)


class LambdaReader(HonestData):
    reader = Reader(extra=lambda: None)


class ClaimsToBeReal(HonestData):
    synthetic = False


class AbsolutePaths(HonestData):
    def samples(self):
        return tuple(replace(s, id=f"/home/someone/{s.id}.png") for s in super().samples())


class PrintingData(HonestData):
    def load(self, context):
        print("loading")
        return super().load(context)


def _target(cls: str) -> dict[str, str]:
    return {"target": f"{__name__}:{cls}", "version": "1", "summary": cls}


@hookimpl
def register_extractors():
    names = {
        "honest-extractor": "HonestExtractor",
        "reverses-images": "ReversesImages",
        "names-the-sample": "NamesTheSample",
        "names-no-map": "NamesNoMap",
        "scales-the-batch": "ScalesTheBatch",
        "mutates-maps": "MutatesMaps",
        "counts-calls": "CountsCalls",
        "uses-the-whole-image": "UsesTheWholeImage",
        "skew-of-nothing": "SkewOfNothing",
        "printing-extractor": "PrintingExtractor",
        "wrong-linear": "WrongLinear",
    }
    return [ExtractorSpec(name=name, **_target(cls)) for name, cls in names.items()]


def _metric(**changed) -> MetricSpec:
    given = {
        "name": "between",
        "label": "Between",
        "goal": "harmonization",
        "direction": "min",
        "bounds": (0.0, 1.0),
        "version": 1,
        "definition": "share of variance between manufacturers",
    }
    return MetricSpec(**{**given, **changed})


@hookimpl
def register_evaluators():
    names = {
        "honest-evaluator": "HonestEvaluator",
        "upside": "Upside",
        "blind": "Blind",
        "undeclared": "Undeclared",
        "too-large": "TooLarge",
        "by-position": "ByPosition",
        "counts-rows": "CountsRows",
        "calls-random": "CallsRandom",
        "mutates-tables": "MutatesTables",
        "printing-evaluator": "PrintingEvaluator",
        "forgets-on-recompute": "ForgetsOnRecompute",
    }
    specs = [EvaluatorSpec(name=name, metrics=(_metric(),), **_target(cls)) for name, cls in names.items()]
    odd = {"camel-metric": {"name": "Between"}, "no-definition": {"definition": ""}, "no-range": {"bounds": (1.0, 0.0)}}
    specs += [EvaluatorSpec(name=n, metrics=(_metric(**c),), **_target("HonestEvaluator")) for n, c in odd.items()]
    wrong = EvaluatorSpec(name="wrong-sign", metrics=(_metric(direction="max"),), **_target("HonestEvaluator"))
    return [*specs, wrong]


@hookimpl
def register_datasets():
    names = {
        "honest-data": "HonestData",
        "twice-the-same": "TwiceTheSame",
        "label-among-covariates": "LabelAmongCovariates",
        "one-maker": "OneMaker",
        "confounded": "Confounded",
        "double-pixels": "DoublePixels",
        "changing-pixels": "ChangingPixels",
        "one-digest": "OneDigest",
        "lambda-reader": "LambdaReader",
        "claims-to-be-real": "ClaimsToBeReal",
        "absolute-paths": "AbsolutePaths",
        "printing-data": "PrintingData",
    }
    given = {"synthetic": True, "licence": "made for tests"}
    return [DatasetSpec(name=name, **given, **_target(cls)) for name, cls in names.items()]
