"""Harmonizers of which each is wrong in one way, and the honest ones that they derive from. A loose plugin file."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from harmbench import DataError, FilteredImage, HarmonizerSpec, UnseenManufacturer, hookimpl
from harmbench.data import FilterBank

LABELS: dict[str, int] = {}
IMAGE_LABELS: dict[str, str] = {}


class Honest:
    """Each manufacturer's mean and spread brought to those of all training rows."""

    def __init__(self, strength: float = 1.0) -> None:
        self.strength = strength

    def fit(self, table, context):
        if not np.isfinite(table.values).all():
            raise DataError("the training table holds missing values.", remedy="Leave these rows out.")
        self.mean, self.sd = table.values.mean(axis=0), table.values.std(axis=0)
        self.means = {m: table.values[table.manufacturer == m].mean(axis=0) for m in table.manufacturers}
        self.sds = {m: table.values[table.manufacturer == m].std(axis=0) for m in table.manufacturers}
        return self

    def of(self, maker):
        if maker not in self.means:
            raise UnseenManufacturer(f"fitted on {', '.join(self.means)}, not on '{maker}'")
        return self.means[maker], self.sds[maker]

    def values(self, table):
        out = np.empty_like(table.values)
        for m in table.manufacturers:
            mean, sd = self.of(m)
            ratio = np.divide(self.sd, sd, out=np.ones_like(sd), where=sd > 0)
            rows = table.manufacturer == m
            out[rows] = (table.values[rows] - self.strength * mean) * ratio + self.strength * self.mean
        return out

    def transform(self, table):
        return table.with_values(self.values(table))


class FitsAtTransform(Honest):
    def transform(self, table):
        return Honest(self.strength).fit(table, None).transform(table)


class UpdatesItsState(Honest):
    def transform(self, table):
        self.mean = 0.9 * self.mean + 0.1 * table.values.mean(axis=0)
        return super().transform(table)


class PeeksAtLabel(Honest):
    def transform(self, table):
        extra = 0.0 if table.label is None else table.label[:, None]
        return table.with_values(self.values(table) + extra)


class UsesUndeclaredLabel(Honest):
    def fit(self, table, context):
        super().fit(table, context)
        if table.label is not None:
            self.mean = table.values[table.label == 1].mean(axis=0)
        return self


class KeepsEveryCovariate(Honest):
    """As ComBat with all covariates in its design: what they explain is left out of the scaling."""

    def transform(self, table):
        numbers = [v for v in table.covariates.values() if v.dtype.kind == "f"]
        return table.with_values(self.values(table) + 0.1 * sum(numbers)[:, None])


class RemembersLabels(Honest):
    """Labels of a fold's training rows are known when they are the test rows of the next fold."""

    def fit(self, table, context):
        LABELS.update(zip(table.samples.tolist(), table.label.tolist(), strict=True))
        return super().fit(table, context)

    def transform(self, table):
        known = np.array([LABELS.get(s, 0) for s in table.samples.tolist()])
        return table.with_values(self.values(table) + 3.0 * known[:, None])


class Transposes(Honest):
    def transform(self, table):
        return replace(table, values=self.values(table).T)


class Scrambles(Honest):
    """Transposed, and squeezed back into the old shape."""

    def transform(self, table):
        return table.with_values(self.values(table).T.reshape(table.values.shape))


class SortsRows(Honest):
    def transform(self, table):
        return super().transform(table.rows(np.argsort(table.manufacturer, kind="stable")))


class SortsValues(Honest):
    """Values grouped by manufacturer, beside samples in the old order."""

    def transform(self, table):
        return table.with_values(self.values(table)[np.argsort(table.manufacturer, kind="stable")])


class RecodesCategories(Honest):
    """Levels are numbered by what happens to be in the table."""

    def transform(self, table):
        code = np.unique(table.covariates["sex"], return_inverse=True)[1]
        return table.with_values(self.values(table) - 0.2 * code[:, None])


class MutatesAtFit(Honest):
    def fit(self, table, context):
        super().fit(table, context)
        if table.values.flags.writeable:
            table.values[:] -= self.mean
        return self


class MutatesAtTransform(Honest):
    def transform(self, table):
        if table.values.flags.writeable:
            table.values[:] = self.values(table)
            return table
        return super().transform(table)


class GlobalRandom(Honest):
    def transform(self, table):
        return table.with_values(self.values(table) + np.random.normal(size=table.values.shape))  # noqa: NPY002


class SharedState(Honest):
    """The class holds what was fitted last."""

    def fit(self, table, context):
        super().fit(table, context)
        SharedState.mean = self.__dict__.pop("mean")
        return self


class HashOrder(Honest):
    def transform(self, table):
        return table.with_values(self.values(table) + hash("GE") % 97)


class Prints(Honest):
    def fit(self, table, context):
        print("fitting")
        return super().fit(table, context)


class PrintsFromC(Honest):
    def fit(self, table, context):
        os.write(1, b"fitting\n")
        return super().fit(table, context)


class SingularForOneRow(Honest):
    def fit(self, table, context):
        for m in table.manufacturers:
            np.linalg.inv(np.cov(table.values[table.manufacturer == m][:, :2].T, bias=True))
        return super().fit(table, context)


class NanForOneRow(Honest):
    def fit(self, table, context):
        super().fit(table, context)
        with np.errstate(all="ignore"):
            rows = {m: table.values[table.manufacturer == m] for m in table.manufacturers}
            self.means = {m: v.mean(axis=0) * v.std(axis=0, ddof=1) / v.std(axis=0, ddof=1) for m, v in rows.items()}
        return self


class KeyErrorForNew(Honest):
    def of(self, maker):
        return self.means[maker], self.sds[maker]


class SilentForNew(Honest):
    def of(self, maker):
        return self.means.get(maker, self.mean), self.sds.get(maker, self.sd)


class HiddenParameter(Honest):
    def __init__(self, strength: float = 1.0, secret: float = 0.0) -> None:
        super().__init__(strength)


class OtherDefault(Honest):
    def __init__(self, strength: float = 0.5) -> None:
        super().__init__(strength)


class HoldsALambda(Honest):
    def fit(self, table, context):
        self.function = lambda x: x
        return super().fit(table, context)


class LogOfNegatives(Honest):
    def transform(self, table):
        with np.errstate(invalid="ignore"):
            return table.with_values(np.log(self.values(table) - 10))


class RenamesColumns(Honest):
    def transform(self, table):
        return replace(super().transform(table), features=tuple(f"{name}_harmonized" for name in table.features))


class DropsColumns(Honest):
    def transform(self, table):
        return super().transform(table).columns(slice(1, None))


class Float32(Honest):
    def transform(self, table):
        return replace(table, values=self.values(table).astype(np.float32))


class ChangesManufacturers(Honest):
    def transform(self, table):
        return replace(super().transform(table), manufacturer=np.full(len(table), "harmonized"))


class MixesColumns(Honest):
    def transform(self, table):
        return table.with_values(np.cumsum(self.values(table), axis=1))


class AddsTheShift(Honest):
    def values(self, table):
        return 2 * table.values - super().values(table)


class LearnsFromThreeRows(Honest):
    """A noisy estimate of every manufacturer's mean adds a difference that was not there."""

    def fit(self, table, context):
        super().fit(table, context)
        self.means = {m: table.values[table.manufacturer == m][:3].mean(axis=0) for m in table.manufacturers}
        return self


class Rounds(Honest):
    """Hardly anything is left of the features."""

    def transform(self, table):
        return table.with_values(np.where(self.values(table) > self.mean + 2.5 * self.sd, 1.0, 0.0))


class WantsPytest(Honest):
    def fit(self, table, context):
        import pytest

        assert pytest.approx(1.0) == 1.0
        return super().fit(table, context)


# Images


class HonestStage:
    """Scales by the median of the training images."""

    def fit(self, images, context):
        self.level = float(np.median([np.median(image.pixels[image.mask]) for image in images]))
        return self

    def scaled(self, image):
        own = float(np.median(image.pixels[image.mask]))
        return image.pixels.astype(float)[None] * (self.level / own if own > 0 else 1.0)

    def transform(self, image):
        return FilteredImage(image.sample, self.scaled(image), ("scaled",), image.mask, image.spacing)


class StageWithOtherNames(HonestStage):
    def transform(self, image):
        return replace(super().transform(image), names=(f"of {image.sample}",))


class StageWithMemory(HonestStage):
    def transform(self, image):
        self.level = 0.5 * self.level + 0.5 * float(np.median(image.pixels[image.mask]))
        return super().transform(image)


class StageThatMutates(HonestStage):
    def transform(self, image):
        image.pixels[:] = image.pixels * 2
        return super().transform(image)


class StageThatFitsInSecret(HonestStage):
    level = 1.0


class StageThatUsesLabels(HonestStage):
    def fit(self, images, context):
        super().fit(images, context)
        self.level += sum(sample.label == "HCM" for sample in images.samples)
        return self


class StageThatRemembersLabels(HonestStage):
    def fit(self, images, context):
        IMAGE_LABELS.update({s.id: s.label for s in images.samples})
        return super().fit(images, context)

    def transform(self, image):
        done = super().transform(image)
        return replace(done, maps=done.maps + (90.0 if IMAGE_LABELS.get(image.sample) == "HCM" else 0.0))


class StageThatDividesByZero(HonestStage):
    def scaled(self, image):
        with np.errstate(all="ignore"):
            return image.pixels.astype(float)[None] / image.pixels[image.mask].std(dtype=float)


class StageThatPrints(HonestStage):
    def transform(self, image):
        print("filtering")
        return super().transform(image)


class StageThatHoldsALambda(HonestStage):
    def fit(self, images, context):
        self.function = lambda x: x
        return super().fit(images, context)


class StageWithAWrongBank(HonestStage):
    def linear(self, image):
        return FilterBank(image.pixels.astype(float), np.ones((1, 1, 1)), np.zeros(1), ("scaled",))


def _feature(name: str, cls: str, **more) -> HarmonizerSpec:
    given = {"uses_manufacturer": "fit+transform", "params": {"strength": 1.0}, "summary": name, **more}
    return HarmonizerSpec(name=name, target=f"{__name__}:{cls}", version="1", stage="feature", **given)


def _image(name: str, cls: str, **more) -> HarmonizerSpec:
    given = {"handles_unseen_manufacturer": True, "summary": name, **more}
    return HarmonizerSpec(name=name, target=f"{__name__}:{cls}", version="1", stage="image", **given)


@hookimpl
def register_harmonizers():
    return [
        _feature("honest", "Honest"),
        _feature("fits-at-transform", "FitsAtTransform"),
        _feature("updates-its-state", "UpdatesItsState"),
        _feature("peeks-at-label", "PeeksAtLabel"),
        _feature("uses-undeclared-label", "UsesUndeclaredLabel"),
        _feature("keeps-every-covariate", "KeepsEveryCovariate"),
        _feature("remembers-labels", "RemembersLabels", uses_label="fit"),
        _feature("transposes", "Transposes"),
        _feature("scrambles", "Scrambles"),
        _feature("sorts-rows", "SortsRows"),
        _feature("sorts-values", "SortsValues"),
        _feature("recodes-categories", "RecodesCategories"),
        _feature("mutates-at-fit", "MutatesAtFit"),
        _feature("mutates-at-transform", "MutatesAtTransform"),
        _feature("global-random", "GlobalRandom"),
        _feature("shared-state", "SharedState"),
        _feature("hash-order", "HashOrder"),
        _feature("prints", "Prints"),
        _feature("prints-from-c", "PrintsFromC"),
        _feature("singular-for-one-row", "SingularForOneRow"),
        _feature("nan-for-one-row", "NanForOneRow"),
        _feature("key-error-for-new", "KeyErrorForNew"),
        _feature("silent-for-new", "SilentForNew"),
        _feature("claims-to-know-new", "Honest", handles_unseen_manufacturer=True),
        _feature("hidden-parameter", "HiddenParameter"),
        _feature("other-default", "OtherDefault"),
        _feature("no-summary", "Honest", summary=""),
        _feature("not-a-reference", "Honest", reference="our paper"),
        _feature("holds-a-lambda", "HoldsALambda"),
        _feature("log-of-negatives", "LogOfNegatives"),
        _feature("renames-columns", "RenamesColumns"),
        _feature("drops-columns", "DropsColumns"),
        _feature("float32", "Float32"),
        _feature("changes-manufacturers", "ChangesManufacturers"),
        _feature("mixes-columns", "MixesColumns"),
        _feature("adds-the-shift", "AddsTheShift"),
        _feature("learns-from-three-rows", "LearnsFromThreeRows"),
        _feature("rounds", "Rounds"),
        _feature("wants-pytest", "WantsPytest"),
        _feature("harmless-canary", "Honest", role="canary"),
        _feature("needs-the-moon", "Honest", requires=("a_module_that_is_not_there",)),
        _image("honest-stage", "HonestStage"),
        _image("stage-with-other-names", "StageWithOtherNames"),
        _image("stage-with-memory", "StageWithMemory"),
        _image("stage-that-mutates", "StageThatMutates"),
        _image("stage-that-fits-in-secret", "StageThatFitsInSecret", fits=False),
        _image("stage-that-uses-labels", "StageThatUsesLabels"),
        _image("stage-that-remembers-labels", "StageThatRemembersLabels", uses_label="fit"),
        _image("stage-that-is-too-modest", "HonestStage", handles_unseen_manufacturer=False),
        _image("stage-that-divides-by-zero", "StageThatDividesByZero"),
        _image("stage-that-prints", "StageThatPrints"),
        _image("stage-that-holds-a-lambda", "StageThatHoldsALambda"),
        _image("stage-with-a-wrong-bank", "StageWithAWrongBank"),
    ]


expected_failed_checks = {"other-default": {"H01": "kept for old users"}}
