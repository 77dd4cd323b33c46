"""An attacker reads a bundle of patients: nothing in it may be what somebody did not mean to publish."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from harmbench.cli import run_command
from harmbench.leaderboard.bundle_format import SUMS, checksums
from harmbench.leaderboard.validate import validate
from harmbench.plugins import build_registry
from harmbench.run.ids import hashed
from harmbench.run.parquet import parquet_bytes, read_parquet
from harmbench.run.store import RunFolder

PATIENTS = ["O'Brien-Mary-1950", 'Ann "Nan" Lee', "d(o)t.s*[x]$", "Zoë Ångström", "王芳", "Smith John", "77001"]
PATIENTS += [f"770{i:02d}" for i in range(2, 35)]
SECRETS = [
    *PATIENTS, "us_of", "StMary", "Smith_secret", "ward_list", "leaky_dr", "DrHouse", "drhouse", "WARDTEXT",
    "referrer_", "own_kernels",
]  # fmt: skip
TOML = """
schema = 1
name = "own"
version = "1"
title = "Own images"
[dataset]
name = "image-folder"
[extractor]
name = "fast2d"
params = { bin_count = 16, shape = true }
[[evaluators]]
name = "lvh-auc"
params = { boruta_iterations = 10, boruta_trees = 10, trees = 10 }
[[evaluators]]
name = "jsd"
[[evaluators]]
name = "interpretation"
[[evaluators]]
name = "remarks"
[methods]
default = ["zscore", "quotes", "declines", "filters", "reports"]
reference = ["none"]
controls = ["collapse", "leaky-combat"]
[splits]
folds = 3
repeats = 2
[uncertainty]
replicates = 100
permutations = 99
"""
PLUGIN = """
import numpy as np
from harmbench import EvaluatorSpec, HarmonizerSpec, MetricSpec, hookimpl
from harmbench.components import Overlap
from harmbench.errors import NotApplicable
from harmbench.results import Evaluation, MetricValue

class Quotes:
    def fit(self, t, context):
        print(*t.patient)
        raise ValueError(f"cannot fit {t.patient[0]}_b of StMary, WARDTEXT")
    def transform(self, t):
        return t

class Declines(Quotes):
    def fit(self, t, context):
        if len(set(t.manufacturer.tolist())) < 2:
            raise NotApplicable(f"WARDTEXT {t.patient[0]}")
        return self

class Filters:
    def fit(self, images, context):
        return self
    def transform(self, image):
        raise ValueError(f"cannot filter {image.sample} of StMary")

class Reports:
    def __init__(self, file=""):
        pass
    def fit(self, t, context):
        self.p = [str(p) for p in t.patient]
        return self
    def transform(self, t):
        return t
    def report(self):
        numbers = [int(p) if p.isascii() and p.isdigit() else 77002 for p in self.p]
        told = {"subject": self.p, "map": [f"saw {p}" for p in self.p], "number": numbers}
        return {**told, "weight": np.ones(len(self.p)) / 2}
    def trained_on(self, images):
        if images.samples[0].patient:
            raise RuntimeError(f"WARDTEXT {images.samples[0].patient}")
        return Overlap("WARDTEXT")

class Remarks:
    def evaluate(self, result, context):
        remarks = {"feature": np.array(["WARDTEXT"]), "value": np.array([1.0])}
        tables = {"remarks": remarks, "nextdoor": {"x": np.array(["WARDTEXT"])}}
        return Evaluation((MetricValue("remark", 1.0, n=1, note="WARDTEXT"),), tables)

@hookimpl
def register_harmonizers():
    return [
        HarmonizerSpec(name="quotes", target="leaky_dr:Quotes", version="1", stage="feature", summary="x"),
        HarmonizerSpec(name="declines", target="leaky_dr:Declines", version="1", stage="feature", summary="x",
                       handles_unseen_manufacturer=True),
        HarmonizerSpec(name="filters", target="leaky_dr:Filters", version="1", stage="image", summary="x"),
        HarmonizerSpec(name="reports", target="leaky_dr:Reports", version="1", stage="feature", summary="x",
                       params={"file": ""}, handles_unseen_manufacturer=True),
    ]

@hookimpl
def register_evaluators():
    metric = MetricSpec(
        name="remark", label="R", goal="cost", direction="min", bounds=(0, 9), version=1, definition="r"
    )
    return EvaluatorSpec(name="remarks", target="leaky_dr:Remarks", version="1", summary="x", metrics=(metric,))

@hookimpl
def provenance_facts():
    return {"site": "StMary hospital WARDTEXT", "DrHouse": 5}
"""


def hospital(folder: Path) -> Path:
    """A manifest in the order of the patients, with columns that nobody meant to publish."""
    folder.mkdir(parents=True)
    mask = np.zeros((40, 40), np.uint8)
    mask[8:32, 8:32] = 255
    Picture.fromarray(mask).save(folder / "mask.png")
    rows = ["id,image,mask,manufacturer,patient,label,age,referrer_DrHouse,covariate_age,covariate_referrer"]
    for i, patient in enumerate(PATIENTS):
        grey = np.random.default_rng(i).normal(90 + 30 * (i % 4 >= 2) + 25 * (i % 2), 12, (40, 40))
        Picture.fromarray(np.clip(grey, 1, 255).astype(np.uint8)).save(folder / f"us_of_{i}.png")
        quoted = '"' + patient.replace('"', '""') + '"'
        sample = '"' + patient.replace('"', '""') + '_us1"'
        facts = f"{40 + i % 9},x,{40 + i % 9},{['drhouse', 'dr WARDTEXT', 'z'][i % 3]}"
        rows.append(f"{sample},us_of_{i}.png,mask.png,{'AB'[i % 4 >= 2]},{quoted},{'NP'[i % 2]},{facts}")
    (folder / "ward_list.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "ward_list.csv"


@pytest.fixture(scope="module")
def attacked(tmp_path_factory) -> Iterator[tuple[Path, Path, Path]]:
    """A run of real data by the command line, its bundle, and the plugin that tells all it knows."""
    home = tmp_path_factory.mktemp("attack")
    manifest, toml, plugin = hospital(home / "StMary"), home / "Smith_secret.toml", home / "leaky_dr.py"
    toml.write_text(TOML)
    plugin.write_text(PLUGIN)
    (home / "own_kernels.json").write_text("{}")
    run, bundle = home / "run", home / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARMBENCH_CACHE", str(home / "cache"))
        patch.chdir(home)
        code = run_command([
            "run", "-b./Smith_secret.toml", f"-d{manifest}", "--plugin", str(plugin), "-o", str(run), "-q", "-j", "1",
            "--set", f"reports.file={home / 'own_kernels.json'}",
        ])  # fmt: skip
        assert code == 2  # two methods fail
        arguments = ["--licence", "CC-BY-4.0", "--contact", "x@example.org", "--plugin", str(plugin)]
        assert run_command(["submit", str(run), "--out", str(bundle), *arguments]) == 0
    yield run, bundle, plugin


def everything(folder: Path) -> Iterator[tuple[str, str]]:
    """All files of a folder as texts, tables cell by cell, names of files too."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        yield name, name
        if path.suffix == ".parquet":
            for column, values in read_parquet(path).items():
                yield name, "\n".join([column, *(str(v) for v in values.tolist())])
        elif path.suffix == ".npz":
            yield name, path.read_bytes().decode("latin-1")
        else:
            text = path.read_text(encoding="utf-8")
            lines = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else []
            whole = json.loads(text) if path.suffix == ".json" else lines
            yield name, f"{text}\n{json.dumps(whole, ensure_ascii=False)}\n{whole!r}"


def test_no_secret_is_in_the_bundle(attacked):
    _, bundle, _ = attacked
    found = []
    for name, text in everything(bundle):
        for secret in SECRETS:
            if secret in text and not (secret.isdigit() and _figure(text, secret)):
                found.append((name, secret))
    assert not found


def _figure(text: str, number: str) -> bool:
    """Whether the digits are only met inside longer numbers and digests."""
    import re

    return not re.search(rf"(?<![0-9a-zA-Z.+/-]){number}(?![0-9a-zA-Z.+/])", text)


def test_the_bundle_is_sound_and_the_checklist_names_what_was_left_out(attacked):
    _, bundle, plugin = attacked
    report = validate(bundle, build_registry([str(plugin)]))
    assert report.sound, report.problems
    text = (bundle / "CHECKLIST.md").read_text()
    for line in (
        "the text of an error (4)", "the text of a reason why a method does not apply (4)", "a note on the data",
        "facts of a plugin (2)", "a column of text in `report-reports`",
        "a column of `report-reports` whose numbers are ids",
        "a column of text in `remarks`", "a column of text in `nextdoor`", "what a method said of its pretraining",
    ):  # fmt: skip
        assert f"- {line}" in text, line
    assert "manufacturers A, B; classes N, P; covariates age, referrer" in text


def test_neither_order_nor_folds_lead_from_numbers_to_ids(attacked):
    run, bundle, _ = attacked
    plan = RunFolder(run).plan
    of = {hashed(p, plan["id_key"]): p for p in PATIENTS}
    here, there = (read_parquet(folder / "samples.parquet")["patient"].tolist() for folder in (run, bundle))
    truth = {number: of[name] for number, name in zip(there, here, strict=True)}
    numbers = sorted(truth)

    def right(guess: list[str]) -> int:
        return sum(truth[number] == who for number, who in zip(numbers, guess, strict=True))

    guesses = [
        PATIENTS, sorted(PATIENTS), [PATIENTS[there.index(n)] for n in numbers],
        sorted(PATIENTS, key=lambda p: hashed(p, plan["data"]["revision"])),
    ]  # fmt: skip
    assert all(right(guess) < 8 for guess in guesses)
    for name, text in everything(bundle):
        assert plan["id_key"] not in text and not any(name in text for name in here), name


def test_the_run_folder_holds_no_id_and_no_absolute_path_either(attacked):
    run, _, _ = attacked
    for name, text in everything(run):
        for patient in (p for p in PATIENTS if not p.isdigit()):
            assert patient not in text, (name, patient)
        assert str(run.parent) not in text, name
    (entry,) = RunFolder(run).environment
    words = entry["command"]
    assert words[words.index("--benchmark") + 1] == "Smith_secret.toml" and "ward_list.csv" in words
    assert words[words.index("--set") + 1] == "reports.file=own_kernels.json"


def spoil_records(folder: Path, **facts) -> None:
    path = folder / "records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    i = next(i for i, line in enumerate(lines) if line["status"] == "failed")
    lines[i] |= facts
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def spoil_error(folder):
    spoil_records(folder, error="ValueError: O'Brien")


def spoil_details(folder):
    spoil_records(folder, details="O'Brien")


def spoil_stage(folder):
    spoil_records(
        folder, stage="o-brien", error="ValueError in o-brien (its words are left out: they may quote samples)"
    )


def spoil_plan(folder):
    plan = json.loads((folder / "plan.json").read_text())
    plan["data"]["notes"].append("columns ignored: DrHouse")
    (folder / "plan.json").write_text(json.dumps(plan))


def spoil_environment(folder):
    entries = json.loads((folder / "environment.json").read_text())
    entries[0]["command"], entries[0]["facts"] = ["harmbench", "Smith_secret.toml"], {"p": {"site": "StMary"}}
    (folder / "environment.json").write_text(json.dumps(entries))


def spoil_report(folder):
    path = next(folder.glob("cells/*/report-reports.parquet"))
    path.write_bytes(parquet_bytes({**read_parquet(path), "map": ["O'Brien"] * len(read_parquet(path)["fold"])}))


def spoil_note(folder):
    path = next(folder.glob("cells/*/metrics.parquet"))
    columns = read_parquet(path)
    path.write_bytes(parquet_bytes({**columns, "note": ["O'Brien"] * len(columns["value"])}))


def spoil_replicates(folder):
    np.savez(next(folder.glob("cells/*/replicates.npz")), r0=np.array(["O'Brien"]))


def spoil_board(folder):
    board = json.loads((folder / "leaderboard.json").read_text())
    for row in board["rows"]:
        if row["apart"] == "not run":
            row["apart_reason"] = row["reason"] = "O'Brien"
    (folder / "leaderboard.json").write_text(json.dumps(board))


SPOILT = {
    spoil_error: "records.jsonl, cell .*: error holds more",
    spoil_details: "details holds more",
    spoil_stage: "stage holds more",
    spoil_plan: "plan.json: data holds more",
    spoil_environment: "environment.json.*: command holds more.*\n.*facts holds more",
    spoil_report: "report-reports.parquet: the column 'map' holds texts",
    spoil_note: "metrics.parquet: the column 'note' holds texts",
    spoil_replicates: "replicates.npz holds other things",
    spoil_board: "leaderboard.json: its row of '(quotes|filters)' holds texts",
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda f: f.__name__)
def test_what_submit_leaves_out_is_refused_when_somebody_puts_it_in(attacked, tmp_path, spoil):
    import re

    _, bundle, plugin = attacked
    folder = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    spoil(folder)
    (folder / SUMS).write_text(checksums(folder))
    report = validate(folder, build_registry([str(plugin)]), rebuild=False)
    assert re.search(SPOILT[spoil], "\n".join(report.problems), re.DOTALL), report.problems
