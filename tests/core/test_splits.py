from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from harmbench.data import Sample
from harmbench.errors import DataError
from harmbench.splits import held_out_digest, make_folds, patient_folds


def samples(patients=60, images=1, split=None, both=()):
    found = []
    for p in range(patients):
        makers = ("GE", "Philips") if p in both else (("Philips",) if p % 5 == 0 else ("GE",))
        for maker in makers:
            for i in range(images):
                found.append(
                    Sample(
                        id=f"{p}-{maker}-{i}", image="", mask="", manufacturer=maker, patient=f"p{p}",
                        label="HCM" if (p // 5) % 2 else "HHD", split=split(p) if split else "",
                    )
                )  # fmt: skip
    return found


def test_images_of_one_patient_never_part():
    many = samples(images=3, both=(1, 2, 3))
    number = patient_folds(many, 5, seed=0)
    assert all(len({number[i] for i, s in enumerate(many) if s.patient == p}) == 1 for p in {s.patient for s in many})


def test_every_fold_holds_every_stratum_in_proportion():
    many = samples(200)
    number = patient_folds(many, 5, seed=0)
    for key, total in Counter((s.manufacturer, s.label) for s in many).items():
        per_fold = Counter(int(number[i]) for i, s in enumerate(many) if (s.manufacturer, s.label) == key)
        assert all(abs(per_fold[k] - total / 5) < 1 for k in range(5))
    assert max(Counter(number.tolist()).values()) - min(Counter(number.tolist()).values()) <= 1


def test_the_split_depends_on_seed_and_repeat_and_not_on_the_order_of_rows():
    many = samples()
    number = dict(zip([s.id for s in many], patient_folds(many, 5, 0), strict=True))
    turned = many[::-1]
    assert number == dict(zip([s.id for s in turned], patient_folds(turned, 5, 0), strict=True))
    assert not np.array_equal(patient_folds(many, 5, 0), patient_folds(many, 5, 1))
    assert not np.array_equal(patient_folds(many, 5, 0), patient_folds(many, 5, 0, repeat=1))


def test_cross_validation_holds_every_row_out_once():
    many = samples()
    folds = make_folds(many, folds=5, repeat=0, seed=0, leave_one_manufacturer_out=False)
    assert sorted(np.concatenate([f.test for f in folds]).tolist()) == list(range(len(many)))
    assert all(not set(f.train.tolist()) & set(f.test.tolist()) for f in folds)


def test_leaving_a_manufacturer_out_trains_without_its_patients():
    many = samples(both=(1, 2))
    folds = make_folds(many, folds=3, repeat=0, seed=0, leave_one_manufacturer_out=True)
    lomo = [f for f in folds if f.held_out]
    assert [f.name for f in lomo] == ["lomo-GE", "lomo-Philips"]
    for fold in lomo:
        assert {many[i].manufacturer for i in fold.test} == {fold.held_out}
        assert not {many[i].patient for i in fold.train} & {many[i].patient for i in fold.test}


def test_a_given_hold_out_replaces_cross_validation():
    many = samples(split=lambda p: "test" if p % 3 == 0 else "train")
    folds = make_folds(many, folds=5, repeat=0, seed=0, leave_one_manufacturer_out=False)
    assert [f.name for f in folds] == ["holdout"]
    assert {many[i].split for i in folds[0].test} == {"test"}


def test_a_patient_on_both_sides_of_a_given_hold_out_is_refused():
    many = samples(images=2)
    from dataclasses import replace

    mixed = [replace(s, split="test" if i % 2 else "train") for i, s in enumerate(many)]
    with pytest.raises(DataError, match="both the train and the test split"):
        make_folds(mixed, folds=5, repeat=0, seed=0, leave_one_manufacturer_out=False)


def test_too_few_patients_of_a_label_names_the_label_and_the_remedy():
    few = [s for s in samples(20) if s.label == "HHD" or s.patient == "p5"]
    with pytest.raises(DataError, match=r"label 'HCM' has 1 patients.*splits\.folds"):
        patient_folds(few, 5, 0)


def held_out(many, folds, name=str):
    rows = [(0, fold.name, name(many[i].id)) for fold in folds for i in fold.test]
    return dict(zip(("repeat", "fold", "sample"), zip(*rows, strict=True), strict=True))


def test_the_digest_tells_two_splits_apart():
    many = samples()
    digests = {
        held_out_digest(held_out(many, make_folds(many, folds=k, repeat=0, seed=s, leave_one_manufacturer_out=False)))
        for k, s in ((5, 0), (5, 1), (4, 0))
    }
    assert len(digests) == 3


def test_the_digest_knows_samples_by_their_order_only():
    many = samples()
    folds = make_folds(many, folds=5, repeat=0, seed=0, leave_one_manufacturer_out=True)
    place = {s.id: i for i, s in enumerate(sorted(many, key=lambda s: s.id))}
    assert held_out_digest(held_out(many, folds)) == held_out_digest(
        held_out(many, folds, lambda name: f"s{place[name]:05d}")
    )
    turned = held_out(many, folds, lambda name: f"s{99999 - place[name]:05d}")
    assert held_out_digest(held_out(many, folds)) != held_out_digest(turned)


def test_leaving_a_manufacturer_out_respects_a_given_hold_out():
    many = samples(split=lambda p: "test" if p % 3 == 0 else "train")
    folds = make_folds(many, folds=5, repeat=0, seed=0, leave_one_manufacturer_out=True)
    assert len(folds) == 3
    for fold in folds:
        assert {many[i].split for i in fold.train} == {"train"}
        assert {many[i].split for i in fold.test} == {"test"}
