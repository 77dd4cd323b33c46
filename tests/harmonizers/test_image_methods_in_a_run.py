"""In a run, image methods that fit see the training images only, and those that do not are extracted once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from image_sets import Memory, image_set

from harmbench.benchmark import load_benchmark
from harmbench.data import ImageSet
from harmbench.methods import parse_method
from harmbench.plugins import build_registry
from harmbench.progress import no_progress
from harmbench.run import run as running
from harmbench.run.cache import Cache
from harmbench.run.images import extract
from harmbench.run.plan import make_plan
from harmbench.run.run import Options
from harmbench.specs import load_target
from harmbench_builtin.harmonizers.filter_bank.specs import BANKS
from harmbench_builtin.harmonizers.intensity.specs import INTENSITY
from harmbench_builtin.harmonizers.speckle.specs import SPECKLE

SPECS = (*BANKS, *INTENSITY, *SPECKLE)
REGISTRY = build_registry([Path(__file__).parents[1] / "tiny_plugin.py"])


def pictures(seed: int, count: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(20 + 3 * i, 200 + 5 * i, (48, 48)).astype(float) for i in range(count)]


def with_other_test_images(images: ImageSet, test: list[int]) -> ImageSet:
    reader = images.reader
    assert isinstance(reader, Memory)
    other = {f"s{i}": np.clip(0.2 * (reader.pixels[f"s{i}"] + reader.pixels[f"s{i}"].T) + 9, 20, 255) for i in test}
    return ImageSet(images.name, images.samples, Memory({**reader.pixels, **other}), images.classes)


@pytest.mark.parametrize("name", [s.name for s in SPECS if s.fits] + ["histogram-matching[reference=B]"])
def test_what_the_test_images_are_changes_nothing_that_was_learnt(name: str, tmp_path: Path) -> None:
    images = image_set(pictures(0), "AABBAABB")
    train, test = [0, 1, 2, 3, 4], [5, 6, 7]
    method = parse_method(name, REGISTRY).image
    extractor = parse_extractor()
    found = [
        extract(some, method, extractor, store=Cache(tmp_path / str(i)), n_jobs=1, progress=no_progress, stage="x",
                fit_on=train)
        for i, some in enumerate((images, with_other_test_images(images, test)))
    ]  # fmt: skip
    assert np.array_equal(found[0].values[train], found[1].values[train])
    assert not np.array_equal(found[0].values[test], found[1].values[test])
    # And what the training images are does change it.
    again = extract(with_other_test_images(images, [1, 2]), method, extractor, store=Cache(tmp_path / "c"), n_jobs=1,
                    progress=no_progress, stage="x", fit_on=train)  # fmt: skip
    assert not np.allclose(again.values[7], found[0].values[7])


def parse_extractor():
    from harmbench.methods import component

    return component(REGISTRY.extractors.get("mean-and-sd"), {})


@pytest.mark.parametrize("spec", [s for s in SPECS if not s.fits], ids=lambda spec: spec.name)
def test_a_method_that_declares_no_fit_learns_nothing(spec) -> None:
    picture = image_set(pictures(1)).read(0)
    target = load_target(spec.target)
    plain = target().transform(picture).maps
    fitted = target().fit(image_set(pictures(2)), None).transform(picture).maps
    assert np.array_equal(plain, fitted)


def test_extraction_is_per_fold_for_methods_that_fit_and_once_for_the_others(
    tiny_benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, bool]] = []

    def counted(images, image, *arguments, fit_on, **more):
        calls.append((str(image), fit_on is not None))
        return extract(images, image, *arguments, fit_on=fit_on, **more)

    monkeypatch.setattr(running, "extract", counted)
    methods = ["histogram-matching", "nyul", "image-zscore", "median[size=3]", "laws[size=3]"]
    plan = make_plan(load_benchmark(str(tiny_benchmark)), REGISTRY, methods, {}, 0)
    summary = running.run(plan, REGISTRY, Options(out=tmp_path / "out"))
    assert {r["status"] for r in summary.records.values()} == {"ok"}
    # Three folds and two manufacturers left out.
    for name in methods:
        expected = [(name, True)] * 5 if name in ("histogram-matching", "nyul") else [(name, False)]
        assert [call for call in calls if call[0] == name] == expected


def test_a_reference_manufacturer_that_is_left_out_makes_that_fold_not_applicable(
    tiny_benchmark: Path, tmp_path: Path
) -> None:
    method = "histogram-matching[reference=B]"
    plan = make_plan(load_benchmark(str(tiny_benchmark)), REGISTRY, [method], {}, 0)
    summary = running.run(plan, REGISTRY, Options(out=tmp_path / "out"))
    record = next(r for r in summary.records.values() if r["method"] == method)
    assert record["status"] == "ok" and set(record["not_applicable"]) == {"lomo-B"}
    assert "reference is 'B', of which there is no training image" in record["not_applicable"]["lomo-B"]


def test_a_reference_manufacturer_that_nobody_has_costs_that_method_only(tiny_benchmark: Path, tmp_path: Path) -> None:
    plan = make_plan(load_benchmark(str(tiny_benchmark)), REGISTRY, ["histogram-matching[reference=Z]"], {}, 0)
    summary = running.run(plan, REGISTRY, Options(out=tmp_path / "out"))
    statuses = {r["method"]: r["status"] for r in summary.records.values()}
    assert statuses == {"none": "ok", "histogram-matching[reference=Z]": "not_applicable"}
