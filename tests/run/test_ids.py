"""Ids of samples and patients in what a run writes: in tables, in texts, and in the order of rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harmbench.benchmark import load_benchmark
from harmbench.data import ImageSet, Sample
from harmbench.plugins import build_registry
from harmbench.run.ids import Pseudonyms, hashed, in_order_of_pseudonyms
from harmbench.run.parquet import read_parquet
from harmbench.run.plan import make_plan
from harmbench.run.run import Options, load_images
from harmbench.run.run import run as run_plan
from harmbench.run.store import RunFolder
from harmbench.splits import make_folds

KEY = "k" * 48
NASTY = [
    "O'Brien-Mary-1950",
    'Anna "Ann" Lee',
    "a.b*c(d)+[e]$",
    "Zoë Ångström",
    "back\\slash",
    "王芳",
    "#7/ward 5",
    "12",
]
LOOSE = '''
"""A plugin that tells whom it met."""
import numpy as np
from harmbench import HarmonizerSpec, hookimpl
from harmbench.components import Overlap
from harmbench.errors import NotApplicable

class Quotes:
    def fit(self, t, context):
        print("seen:", *t.patient, *t.samples, sep="\\n")
        raise ValueError(f"patient {t.patient[0]!r} of {t.samples[0]}, {list(t.pair)}")
    def transform(self, t):
        return t

class Declines(Quotes):
    def fit(self, t, context):
        raise NotApplicable(f"cannot do {t.patient[0]}")

class Filters:
    def fit(self, images, context):
        return self
    def transform(self, image):
        raise KeyError(f"cannot filter {image.sample} of StMary")

class Reports:
    def fit(self, t, context):
        self.t = t
        return self
    def transform(self, t):
        return t
    def report(self):
        p = self.t.patient
        return {"subject": p, "remark": [f"saw {x}!" for x in p], "weight": np.arange(len(p)) / 2.0, "sample": p}
    def trained_on(self, images):
        raise RuntimeError(f"asked about {images.samples[0].patient}")

@hookimpl
def register_harmonizers():
    return [
        HarmonizerSpec(name=n, target=f"{__name__}:{c}", version="1", stage=s, summary=c)
        for n, c, s in (("quotes", "Quotes", "feature"), ("declines", "Declines", "feature"),
                        ("filters", "Filters", "image"), ("reports", "Reports", "feature"))
    ]
'''


def images(*names: str) -> ImageSet:
    samples = tuple(
        Sample(id=f"{name}_us1", image=f"us/{name}_us1.png", mask="mask.png", manufacturer="A", patient=name, label="N")
        for name in names
    )
    return ImageSet("own", samples, None, ("N", "P"))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("text", ["{}", "of {}, and", "'{}'", "({})", "x {}_b y", "{}'s scan", "é {}\n"])
def test_an_id_is_hashed_wherever_it_stands_in_a_text(name, text):
    hidden = Pseudonyms.of_images(images(*NASTY), KEY)
    assert hidden.text(text.format(name)) == text.format(hashed(name, KEY))


@pytest.mark.parametrize("name", NASTY)
def test_an_id_that_was_quoted_is_hashed_too(name):
    hidden = Pseudonyms.of_images(images(*NASTY), KEY)
    for quoted in (str(KeyError(name)), repr([name]), ascii(name), json.dumps(name)):
        assert hashed(name, KEY) in hidden.text(quoted) and quoted.strip("'\"[]") not in hidden.text(quoted)


def test_the_longest_id_wins_and_files_are_named_by_their_sample():
    hidden = Pseudonyms.of_images(images("O'Brien", "O'Brien-Mary"), KEY)
    sample = hashed("O'Brien-Mary_us1", KEY)
    assert hidden.text("O'Brien-Mary_us1 O'Brien-Mary O'Brien") == " ".join(
        hashed(name, KEY) for name in ("O'Brien-Mary_us1", "O'Brien-Mary", "O'Brien")
    )
    assert hidden.text("us/O'Brien-Mary_us1.png: broken; mask.png") == f"{sample}: broken; mask.png"


@pytest.mark.parametrize(
    ("name", "text"), [("12", "0x12a, a12, 123"), ("1234", "0.12345 and a1234"), ("GE", "GEx AGE"), ("#1", "a#1")]
)
def test_a_part_of_a_word_or_number_is_no_id(name, text):
    assert Pseudonyms(KEY, frozenset({name})).text(text) == text


def test_a_text_of_a_million_letters_is_read_in_seconds():
    hidden = Pseudonyms.of_images(images(*(f"patient {i:05d}" for i in range(5000))), KEY)
    import time

    start = time.perf_counter()
    text = hidden.text("epoch 3 loss 0.25 for patient 00017\n" * 30_000)
    assert "00017" not in text and time.perf_counter() - start < 20


def test_rows_stand_in_the_order_of_hashed_ids():
    many = images(*(f"p{i:02d}" for i in range(40)))
    ordered = in_order_of_pseudonyms(replace(many, rows=tuple(range(2, 42))), Pseudonyms(KEY))
    names = [hashed(s.id, KEY) for s in ordered.samples]
    assert names == sorted(names) and [s.id for s in ordered.samples] != [s.id for s in many.samples]
    assert all(many.samples[row - 2] == s for row, s in zip(ordered.rows, ordered.samples, strict=True))


def written(folder: Path) -> str:
    """All that a run folder holds, as text."""
    parts = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.suffix == ".parquet":
            columns = read_parquet(path)
            parts += [repr(list(columns)), *(str(value) for c in columns.values() for value in c.tolist())]
        elif path.suffix != ".npz":
            parts.append(path.read_text())
    return "\n".join(parts)


@pytest.fixture
def nasty_run(tmp_path, tiny_benchmark, monkeypatch):
    """The tiny benchmark with names that break quotes and patterns, and methods that tell them."""
    plugin = tmp_path / f"telling_{tmp_path.name}.py"  # modules of one name are one module
    plugin.write_text(LOOSE)
    registry = build_registry([str(Path(__file__).parents[1] / "tiny_plugin.py"), str(plugin)])
    import tiny_plugin

    load = tiny_plugin.Tiny.load
    names = [NASTY[i] if i < len(NASTY) else f"O'Neill-{i}-1960" for i in range(24)]

    def renamed(self, context):
        found = load(self, context)
        number = {s.id: int(s.patient[1:]) for s in found.samples}
        samples = tuple(
            replace(
                s,
                id=f"{names[number[s.id]]}_{s.id}",
                patient=names[number[s.id]],
                pair=s.pair and f"o/{names[number[s.id]]}",
            )
            for s in found.samples
        )
        return replace(found, samples=samples, notes=(f"without {names[0]}",))

    monkeypatch.setattr(tiny_plugin.Tiny, "load", renamed)
    plan = make_plan(load_benchmark(str(tiny_benchmark)), registry, ["quotes", "declines", "filters", "reports"])
    return run_plan(plan, registry, Options(out=tmp_path / "out")), names, plan


def test_no_id_is_in_a_run_folder(nasty_run):
    summary, names, _ = nasty_run
    text = written(summary.folder)
    for name in (n for n in names if n != "12"):
        for spelled in (name, repr(name)[1:-1], json.dumps(name)[1:-1]):
            assert spelled not in text, spelled
    records = {r["method"]: r for r in summary.records.values()}
    assert {m: r["status"] for m, r in records.items()} == {
        "none": "ok", "quotes": "failed", "declines": "not_applicable", "filters": "failed", "reports": "ok",
    }  # fmt: skip
    assert records["quotes"]["error"].startswith("ValueError: patient ")
    assert (records["quotes"]["exception"], records["quotes"]["stage"], records["quotes"]["fold"]) == (
        "ValueError", "quotes", "cv-0",
    )  # fmt: skip
    assert (records["filters"]["exception"], records["filters"]["stage"]) == ("KeyError", "filters")
    assert records["reports"]["pretraining"][0]["problem"].startswith("RuntimeError: asked about ")
    key = RunFolder(summary.folder).plan["id_key"]
    report = read_parquet(RunFolder(summary.folder).cell(records["reports"]["key"]) / "report-reports.parquet")
    assert set(report["subject"].tolist()) <= {hashed(name, key) for name in names}
    assert records["reports"]["tables"] == ["report-reports", "rows"]


def test_the_terminal_still_says_which_sample_it_was(nasty_run):
    summary, names, _ = nasty_run
    (shown,) = [text for text in summary.shown.values() if "cannot filter" in text]
    assert any(name in shown for name in names)


def test_ids_are_hashed_with_a_key_that_nothing_published_holds(nasty_run):
    summary, names, plan = nasty_run
    stored = RunFolder(summary.folder).plan
    revision, key = stored["data"]["revision"], stored["id_key"]
    assert len(key) == 48 and revision not in key
    samples = read_parquet(summary.folder / "samples.parquet")
    assert set(samples["patient"].tolist()) == {hashed(name, key) for name in names}
    assert not set(samples["patient"].tolist()) & {hashed(name, revision) for name in names}
    assert samples["sample"].tolist() == sorted(samples["sample"].tolist())
    assert load_images(plan, Options()).hidden.key == key  # another run on the same data draws the same resamples
    for file in ("raw", "cells"):
        for path in sorted((summary.folder / file).rglob("*.parquet")):
            columns = read_parquet(path)
            if path.stem in ("rows", "features") or file == "raw":
                assert columns["sample"].tolist() == sorted(columns["sample"].tolist()), path


def test_folds_do_not_tell_the_order_of_the_real_ids(tiny_benchmark, tiny_registry, tmp_path):
    """They are a function of the hashed ids: dealt again from what the folder holds, they are the same."""
    plan = make_plan(load_benchmark(str(tiny_benchmark)), tiny_registry, ["center"])
    summary = run_plan(plan, tiny_registry, Options(out=tmp_path / "out"))
    known, splits = (read_parquet(summary.folder / f"{name}.parquet") for name in ("samples", "splits"))
    rows = [i for i, split in enumerate(known["split"].tolist()) if split != "paired"]
    samples = [
        Sample(
            id=known["sample"][i], image="", mask="", patient=known["patient"][i],
            manufacturer=known["manufacturer"][i],
            label="NP"[known["label"][i]],
        )
        for i in rows
    ]  # fmt: skip
    again = make_folds(samples, folds=3, repeat=0, seed=0, leave_one_manufacturer_out=False)
    for fold in again:
        held = set(splits["sample"][splits["fold"] == fold.name].tolist())
        assert held == {samples[int(i)].id for i in fold.test}
