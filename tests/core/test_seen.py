"""Ids of patients and images: the same image is found under another name, different ones never meet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from harmbench.components import DatasetContext, Overlap
from harmbench.data import Image, ImageSet, Sample
from harmbench.seen import SIZE, Seen, as_ids, content_id, patient_id
from harmbench_builtin.datasets.image_folder import ImageFolder
from harmbench_builtin.datasets.plax_phantom.dataset import PlaxPhantom
from harmbench_builtin.pretrain import data as pretraining

MASK = np.pad(np.ones((30, 30), bool), 5)


@dataclass(frozen=True)
class Drawn:
    """Images drawn from the number in the sample's reference."""

    def read(self, sample: Sample) -> Image:
        pixels = np.random.default_rng(int(sample.image)).integers(0, 256, (40, 40)).astype(np.float32)
        return Image(sample.id, pixels, MASK)

    def digest(self, sample: Sample) -> str:
        return sample.image


def image_set(numbers: range, name: str = "clinic", prefix: str = "p", **more: str) -> ImageSet:
    samples = tuple(
        Sample(id=f"s{i}", image=str(i), mask="", manufacturer="A", patient=f"{prefix}{i}", label="N") for i in numbers
    )
    return ImageSet(name, samples, Drawn(), ("N", "P"), **more)  # type: ignore[arg-type]


def overlap(trained: ImageSet, tested: ImageSet) -> Overlap:
    return Seen.of(trained).overlap(tested, trained.name)


def test_ids_are_short_and_depend_on_what_they_name() -> None:
    assert len(patient_id("a", "1")) == len(content_id(np.zeros((2, 2)))) == SIZE
    names = {patient_id(scope, patient) for scope in ("a", "b") for patient in ("1", "2", "12")}
    assert len(names) == 6
    assert b"secret" not in patient_id("scope", "secret")


def test_an_image_has_one_id_whatever_holds_its_values() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    one = content_id(pixels)
    assert one == content_id(pixels.astype(np.float64)) == content_id(np.asfortranarray(pixels)) == content_id(
        np.where(pixels == 0, -0.0, pixels)
    )  # fmt: skip
    brighter = pixels.copy()
    brighter[2, 3] += 1
    assert len({one, content_id(brighter), content_id(pixels.T), content_id(pixels.reshape(4, 3))}) == 4


def test_the_same_patients_and_images_are_counted() -> None:
    found = overlap(image_set(range(6)), image_set(range(4, 10)))
    assert (found.patients, found.images, found.listed, found.source) == (("p4", "p5"), ("s4", "s5"), True, "clinic")


def test_an_image_is_found_under_another_patients_name() -> None:
    found = overlap(image_set(range(6)), image_set(range(4, 10), prefix="other"))
    assert (found.patients, found.images) == (("other4", "other5"), ("s4", "s5"))


def test_a_patient_is_found_by_name_where_the_image_is_another() -> None:
    tested = image_set(range(3))
    samples = tuple(replace(s, image=str(100 + i)) for i, s in enumerate(tested.samples))
    found = overlap(image_set(range(2)), replace(tested, samples=samples))
    assert (found.patients, found.images) == (("p0", "p1"), ())


def test_equal_names_in_another_data_set_are_other_patients() -> None:
    other = image_set(range(6), name="another clinic")
    samples = tuple(replace(s, image=str(100 + i)) for i, s in enumerate(other.samples))
    assert overlap(image_set(range(6)), replace(other, samples=samples)).patients == ()
    same_scope = replace(other, samples=samples, patient_scope="clinic")
    assert len(overlap(image_set(range(6)), same_scope).patients) == 6


def test_what_lists_nothing_can_say_nothing() -> None:
    assert Seen().overlap(image_set(range(2)), "x") == Overlap("x", listed=False)
    assert not Seen() and Seen.of(image_set(range(1)))


def test_ids_are_kept_once_and_sorted() -> None:
    ids = as_ids([b"b" * 8, b"a" * 8, b"b" * 8])
    assert ids.dtype == np.uint8 and [row.tobytes() for row in ids] == [b"a" * 8, b"b" * 8]
    assert as_ids([]).shape == (0, 8)
    with pytest.raises(ValueError, match="uint8"):
        Seen(np.zeros((2, 4), np.uint8), as_ids([]))


# --- what pretraining writes down


def test_pretraining_on_a_data_set_lists_its_patients_and_images() -> None:
    images = image_set(range(5))
    assert pretraining.from_image_set(images, size=40).seen().overlap(images).patients == tuple(
        f"p{i}" for i in range(5)
    )


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_run_recognises_images_of_a_folder_that_was_pretrained_on(tmp_path: Path, colour: bool, ending: str) -> None:
    """A folder without names of patients; the run reads the same pictures from other files."""
    rng = np.random.default_rng(0)
    rows = ["image,mask,manufacturer,patient,label"]
    (tmp_path / "train").mkdir()
    (tmp_path / "data").mkdir()
    Picture.fromarray(np.uint8(MASK) * 255).save(tmp_path / "data" / "mask.png")
    for i in range(4):
        picture = Picture.fromarray(rng.integers(0, 256, (40, 40, 3) if colour else (40, 40)).astype(np.uint8))
        if i < 3:
            picture.save(tmp_path / "train" / f"frame{i}.png")
        picture.save(tmp_path / "data" / f"x{9 - i}.{ending}")
        rows.append(f"x{9 - i}.{ending},mask.png,{'AB'[i % 2]},patient{i},{'NP'[i // 2]}")
    (tmp_path / "data" / "manifest.csv").write_text("\n".join(rows) + "\n")
    images = ImageFolder().load(DatasetContext(data=str(tmp_path / "data")))
    trained = pretraining.from_folder(tmp_path / "train", size=40)
    found = trained.seen().overlap(images)
    assert len(trained) == 3 and found.patients == ("patient0", "patient1", "patient2")
    assert trained.patient_ids == (b"", b"", b"") and len(trained.seen().patients) == 0


# --- the phantom


def phantom(tmp_path: Path, **parameters: float) -> ImageSet:
    made = PlaxPhantom(**{"patients": 4, "paired": 1, "size": 64, **parameters})
    return made.load(DatasetContext(cache=str(tmp_path / "phantoms")))


def test_generated_hearts_for_pretraining_are_no_hearts_of_any_cohort(tmp_path: Path) -> None:
    for seed in (0, 1):
        seen = pretraining.from_phantom(6, seed, size=64).seen()
        assert len(seen.patients) == len(seen.images) == 6
        for cohort in (phantom(tmp_path, seed=0), phantom(tmp_path, seed=1)):
            assert seen.overlap(cohort) == Overlap()


def test_hearts_of_another_seed_are_others_and_those_of_the_same_seed_are_the_same(tmp_path: Path) -> None:
    seen = Seen.of(phantom(tmp_path, seed=0))
    assert seen.overlap(phantom(tmp_path, seed=1)) == Overlap()
    assert len(seen.overlap(phantom(tmp_path, seed=0)).images) == 5  # the paired image too
    # The same hearts on other scanners: other pixels, known by name.
    found = seen.overlap(phantom(tmp_path, seed=0, manufacturer_effect=0.5))
    assert len(found.patients) == 4 and len(found.images) < 5


def test_a_phantom_in_a_folder_of_the_users_has_the_same_hearts(tmp_path: Path) -> None:
    made = PlaxPhantom(patients=4, paired=0, size=64, seed=3)
    made.generate(tmp_path / "mine")
    images = ImageFolder(positive="HCM").load(DatasetContext(data=str(tmp_path / "mine")))
    other_size = phantom(tmp_path, paired=0, size=96, seed=3)
    found = Seen.of(images).overlap(other_size)
    assert len(found.patients) == 4 and found.images == ()
