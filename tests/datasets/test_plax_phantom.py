"""Data set `plax-phantom`: files, cache, determinism."""

from __future__ import annotations

import csv
import errno
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from harmbench.components import DatasetContext
from harmbench.data import ImageSet
from harmbench.errors import DataError, UsageError
from harmbench_builtin.datasets.image_folder import ImageFolder
from harmbench_builtin.datasets.plax_phantom import folder as folder_module
from harmbench_builtin.datasets.plax_phantom import generate as generate_module
from harmbench_builtin.datasets.plax_phantom.cohort import Parameters
from harmbench_builtin.datasets.plax_phantom.dataset import PlaxPhantom
from harmbench_builtin.datasets.plax_phantom.folder import new_folder
from harmbench_builtin.datasets.plax_phantom.generate import GENERATOR_VERSION, digest, generate
from harmbench_builtin.datasets.specs import DATASETS

SMALL: dict[str, Any] = {"patients": 10, "paired": 3, "size": 96, "third_scanner": True}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def images(cache: Path) -> ImageSet:
    return PlaxPhantom(**SMALL).load(DatasetContext(cache=str(cache)))


def test_the_spec_lists_every_parameter_with_its_default() -> None:
    spec = next(s for s in DATASETS if s.name == "plax-phantom")
    assert dict(spec.params) == Parameters().as_dict()
    assert spec.synthetic
    assert spec.version == GENERATOR_VERSION


def test_every_heart_is_scored_once_and_the_first_are_also_seen_by_the_other_scanners(images: ImageSet) -> None:
    scored = [s for s in images.samples if s.split == ""]
    assert len({s.patient for s in scored}) == len(scored) == 10
    others = [s for s in images.samples if s.split == "paired"]
    assert len(others) == 3 * 2
    for heart in {s.patient for s in others}:
        group = [s for s in images.samples if s.patient == heart]
        assert Counter(s.split for s in group) == {"": 1, "paired": 2}
        assert len({s.manufacturer for s in group}) == 3
        assert {s.pair for s in group} == {heart}
        assert len({s.label for s in group}) == 1
    assert all(s.pair == "" for s in scored[3:])


def test_it_is_marked_synthetic_and_says_what_it_is_not(images: ImageSet) -> None:
    assert images.synthetic
    assert images.classes == ("HHD", "HCM")
    text = " ".join(images.notes)
    for words in ("no patient", "assumptions", "not a manufacturer's specification"):
        assert words in text


def test_images_are_8_bit_grey_levels_with_a_mask_and_a_spacing(images: ImageSet) -> None:
    for sample, image in zip(images.samples, images, strict=True):
        assert image.pixels.shape == image.mask.shape == (96, 96)
        assert np.array_equal(image.pixels, np.rint(image.pixels))
        assert image.pixels.max() <= 255
        assert image.mask.any()
        assert sample.spacing is not None
        # Depth of the window over pixels: 138 to 142 mm by scanner, 1 cm less or more by exam.
        assert 128 / 96 - 1e-5 <= sample.spacing[0] == sample.spacing[1] <= 152 / 96 + 1e-5


def test_paired_images_show_the_same_heart(images: ImageSet) -> None:
    for heart in {s.patient for s in images.samples if s.split == "paired"}:
        group = [s for s in images.samples if s.patient == heart]
        for name in group[0].covariates:
            assert len({s.covariates[name] for s in group}) == 1
        # The septum's thickness is the same in mm: compare the masks' heights in the middle column.
        heights = []
        for sample in group:
            mask = images.reader.read(sample).mask
            assert sample.spacing is not None
            heights.append(mask[:, mask.shape[1] // 2].sum() * sample.spacing[0])
        assert np.ptp(heights) <= 2 * max(s.spacing[0] for s in group if s.spacing)


def test_the_mask_measures_the_walls_that_the_covariates_state(tmp_path: Path) -> None:
    found = PlaxPhantom(patients=8, paired=0, size=224).load(DatasetContext(cache=str(tmp_path)))
    for sample, image in zip(found.samples, found, strict=True):
        assert sample.spacing is not None
        # The measurement line is within 9 mm of the middle and tilted by at most 12 degrees, and walls change slowly.
        thickness = image.mask[:, 112].sum() * sample.spacing[0]
        truth = float(sample.covariates["ivs_mm"]) + float(sample.covariates["lvpw_mm"])
        assert thickness == pytest.approx(truth, rel=0.15)


def test_the_second_call_only_reads(cache: Path, images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("generated again")

    monkeypatch.setattr("harmbench_builtin.datasets.plax_phantom.dataset.generate", never)
    again = PlaxPhantom(**SMALL).load(DatasetContext(cache=str(cache)))
    assert again.samples == images.samples


def test_the_files_do_not_depend_on_the_number_of_processes(cache: Path, images: ImageSet, tmp_path: Path) -> None:
    two = generate(tmp_path / "two", SMALL, n_jobs=2)
    assert contents(two) == contents(PlaxPhantom(**SMALL).folder(str(cache)))


def test_a_heart_does_not_depend_on_how_many_there_are(cache: Path, images: ImageSet, tmp_path: Path) -> None:
    more = contents(generate(tmp_path / "more", SMALL | {"patients": 13, "paired": 4}))
    pictures = {k: v for k, v in contents(PlaxPhantom(**SMALL).folder(str(cache))).items() if k.endswith(".png")}
    assert len(pictures) == 2 * 16
    assert all(more[name] == data for name, data in pictures.items())


def test_another_seed_gives_other_images(cache: Path, images: ImageSet, tmp_path: Path) -> None:
    other = contents(generate(tmp_path / "other", SMALL | {"seed": 1}))
    mine = contents(PlaxPhantom(**SMALL).folder(str(cache)))
    pictures = [name for name in mine if name.startswith("images/")]
    assert all(mine[name] != other[name] for name in pictures)


@pytest.mark.parametrize("name", list(Parameters().as_dict()))
def test_every_parameter_has_a_folder_of_its_own(name: str) -> None:
    changed: dict[str, Any] = {"third_scanner": True, "confounding": 0.3, "prevalence": 0.4}
    base = getattr(Parameters(), name)
    value = changed.get(name, base + 1 if isinstance(base, int) else base * 0.5)
    assert digest(Parameters.of({name: value})) != digest(Parameters())


def test_without_both_effects_the_label_is_in_no_pixel(tmp_path: Path) -> None:
    # Prevalence changes which hearts are called HCM, and nothing else: the images must stay as they are.
    null = SMALL | {"tissue_effect": 0.0, "anatomy_effect": 0.0, "paired": 0}
    few, many = (generate(tmp_path / str(p), null | {"prevalence": p}) for p in (0.2, 0.8))
    labels = [[row["label"] for row in csv.DictReader((f / "manifest.csv").open())] for f in (few, many)]
    assert sum(a != b for a, b in zip(*labels, strict=True)) >= 5
    for name, data in contents(few).items():
        if name.endswith(".png"):
            assert data == contents(many)[name]


def test_the_folder_is_an_image_folder(cache: Path, images: ImageSet) -> None:
    folder = PlaxPhantom(**SMALL).folder(str(cache))
    found = ImageFolder(positive="HCM").load(DatasetContext(data=str(folder)))
    assert found.samples == images.samples
    assert found.synthetic
    assert "no patient" in (folder / "SYNTHETIC.txt").read_text()
    assert json.loads((folder / "parameters.json").read_text())["parameters"] == Parameters.of(SMALL).as_dict()
    for sample in found.samples:
        with Picture.open(folder / sample.mask) as mask:
            assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_progress_counts_hearts(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    generate(tmp_path / "x", SMALL | {"patients": 4, "paired": 0}, progress=lambda *a: calls.append(a))
    assert calls == [("generate", done, 4) for done in range(5)]


class TestInterruption:
    def test_a_killed_generation_is_not_taken_for_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: ImageSet
    ) -> None:
        written = 0

        def dies(*args: Any) -> Any:
            nonlocal written
            written += 1
            if written == 4:
                # What kill -9 leaves: nothing cleans up after this.
                raise SystemExit
            return original(*args)

        original = generate_module._make
        monkeypatch.setattr(generate_module, "_make", dies)
        monkeypatch.setattr(folder_module.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(SystemExit):
            PlaxPhantom(**SMALL).load(DatasetContext(cache=str(tmp_path)))
        monkeypatch.undo()
        left = list(tmp_path.iterdir())
        assert len(left) == 1
        assert left[0].name.endswith(".part")
        assert len(PlaxPhantom(**SMALL).load(DatasetContext(cache=str(tmp_path)))) == len(images)

    def test_an_interrupted_generation_cleans_up(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "x") as work:
            (work / "half").touch()
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []

    def test_what_a_killed_process_left_is_removed_a_day_later(self, tmp_path: Path) -> None:
        old, fresh = tmp_path / ".x.old.part", tmp_path / ".x.fresh.part"
        for left in (old, fresh):
            left.mkdir()
        os.utime(old, (time.time() - 90000,) * 2)
        with new_folder(tmp_path / "x"):
            pass
        assert not old.exists()
        assert fresh.exists()

    def test_a_folder_with_missing_files_is_made_again(self, tmp_path: Path) -> None:
        data = PlaxPhantom(**SMALL | {"patients": 4, "paired": 0})
        context = DatasetContext(cache=str(tmp_path))
        first = data.load(context)
        before = contents(data.folder(str(tmp_path)))
        (data.folder(str(tmp_path)) / first.samples[2].mask).unlink()
        data.load(context)
        assert contents(data.folder(str(tmp_path))) == before

    def test_the_first_of_two_processes_wins_and_the_other_finds_its_folder(self, tmp_path: Path) -> None:
        target = tmp_path / "x"
        with new_folder(target) as slow:
            (slow / "manifest.csv").write_text("slow")
            with new_folder(target) as fast:
                (fast / "manifest.csv").write_text("fast")
        assert contents(target) == {"manifest.csv": b"fast"}
        assert [p.name for p in tmp_path.iterdir()] == ["x"]


class TestRefusals:
    def test_a_folder_that_holds_something_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("precious")
        with pytest.raises(DataError, match=r"already holds something.*Name a new folder"):
            generate(tmp_path, SMALL)
        assert contents(tmp_path) == {"mine.txt": b"precious"}

    def test_an_empty_folder_is_used(self, tmp_path: Path) -> None:
        (tmp_path / "new").mkdir()
        generate(tmp_path / "new", SMALL | {"patients": 4, "paired": 0})
        assert (tmp_path / "new" / "manifest.csv").is_file()

    def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match="choose another one") as caught:
            PlaxPhantom(**SMALL).load(DatasetContext(cache=str(tmp_path / "file" / "cache")))
        assert str(tmp_path / "file" / "cache") in str(caught.value)

    @pytest.mark.parametrize(("number", "remedy"), [(errno.ENOSPC, "Free some space"), (errno.EROFS, "may be written")])
    def test_a_disk_that_refuses_is_named_with_the_remedy_and_nothing_is_left(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(generate_module, "_save", refuse)
        with pytest.raises(DataError, match=remedy) as caught:
            PlaxPhantom(**SMALL).load(DatasetContext(cache=str(tmp_path)))
        assert os.strerror(number) in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    def test_data_and_a_missing_cache_are_usage_errors(self) -> None:
        with pytest.raises(UsageError, match="takes no --data"):
            PlaxPhantom().load(DatasetContext(data="somewhere", cache="x"))
        with pytest.raises(UsageError, match="cache folder"):
            PlaxPhantom().load(DatasetContext())
