"""What is handed in: whole, anonymous, the same every time; and what a maintainer finds in one that was changed."""

from __future__ import annotations

import getpass
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tampering import cell_of, forged

from harmbench.cli import run_command
from harmbench.errors import DataError, UsageError
from harmbench.leaderboard import anonymous
from harmbench.leaderboard.bundle import make_bundle
from harmbench.leaderboard.bundle_format import SUMS, checksums
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.diff import diff
from harmbench.leaderboard.files import read_board
from harmbench.leaderboard.validate import validate
from harmbench.run.parquet import parquet_bytes, read_parquet
from harmbench.run.store import RunFolder

OLD = Path(__file__).resolve().parents[1] / "fixtures" / "run-schema-1"
ASKED = {"licence": "CC-BY-4.0", "contact": "someone@example.org"}


@pytest.fixture(scope="module")
def kept_bundle(kept_run, registry, tmp_path_factory) -> Path:
    return make_bundle(kept_run, tmp_path_factory.mktemp("bundle") / "out", registry=registry, **ASKED).folder


@pytest.fixture
def bundle(kept_bundle, tmp_path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(kept_bundle, tmp_path / "bundle"))


def sealed(folder: Path) -> Path:
    """With digests, keys and checksums that fit, as somebody who cheats would hand it in."""
    try:
        return forged(folder)
    except (KeyError, json.JSONDecodeError):
        (folder / SUMS).write_text(checksums(folder))
        return folder


def problems(folder: Path, registry) -> str:
    report = validate(folder, registry)
    assert report.kind == "bundle"
    assert not report.sound
    return "\n".join(report.problems)


def test_a_bundle_is_sound_and_its_board_is_that_of_the_run(kept_bundle, kept_run, registry):
    report = validate(kept_bundle, registry)
    assert report.sound and report.kind == "bundle", report.problems
    assert {"checksums", "anonymous", "figures rebuilt", "the board in it"} <= set(report.passed)
    assert not diff(build([kept_run]), read_board(kept_bundle)).any


def test_the_same_run_gives_the_same_bytes(kept_bundle, kept_run, registry, tmp_path):
    again = make_bundle(kept_run, tmp_path / "again", registry=registry, **ASKED).folder
    files = sorted(p.relative_to(kept_bundle) for p in kept_bundle.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    assert all((kept_bundle / f).read_bytes() == (again / f).read_bytes() for f in files)


def test_ids_are_numbers_that_do_not_lead_back(kept_bundle, kept_run):
    hashed = set(read_parquet(kept_run / "samples.parquet")["sample"].tolist())
    hashed |= set(read_parquet(kept_run / "samples.parquet")["patient"].tolist())
    everything = b"".join(p.read_bytes() for p in sorted(kept_bundle.rglob("*")) if p.is_file())
    assert not any(name.encode() in everything for name in hashed)
    samples = read_parquet(kept_bundle / "samples.parquet")
    assert all(re.fullmatch(r"s\d+", s) for s in samples["sample"]) and all(
        re.fullmatch(r"p\d+", s) for s in samples["patient"]
    )
    order = [read_parquet(f / "samples.parquet")["sample"].argsort().tolist() for f in (kept_run, kept_bundle)]
    assert order[0] == order[1]  # the order decides what is drawn


def test_no_log_no_image_no_path_and_no_name_is_inside(kept_bundle):
    names = [p.name for p in kept_bundle.rglob("*") if p.is_file()]
    assert not [n for n in names if not n.endswith((".json", ".jsonl", ".md", ".csv", ".parquet", ".npz", SUMS))]
    assert "log.txt" not in names
    text = "".join(p.read_text() for p in kept_bundle.glob("*.json*"))
    assert str(Path.home()) not in text and (getpass.getuser() in anonymous.COMMON or getpass.getuser() not in text)


def test_the_checklist_names_licence_contact_and_place(kept_bundle):
    text = (kept_bundle / "CHECKLIST.md").read_text()
    place = json.loads((kept_bundle / "submission.json").read_text())["place"]
    assert place.startswith("leaderboard/results/small/small-")
    assert all(word in text for word in ("CC-BY-4.0", "someone@example.org", place, "- [ ] "))


def test_a_bundle_belongs_where_it_says(kept_bundle, registry, tmp_path):
    place = json.loads((kept_bundle / "submission.json").read_text())["place"]
    right = Path(shutil.copytree(kept_bundle, tmp_path / place))
    assert validate(right, registry, rebuild=False).sound
    wrong = Path(shutil.copytree(kept_bundle, tmp_path / "leaderboard" / "results" / "small" / "mine"))
    assert f"it belongs into {place}" in problems(wrong, registry)


def test_a_changed_added_or_missing_file_breaks_the_checksums(bundle, registry):
    (bundle / "leaderboard.md").write_text("ours is best")
    (bundle / "photo.png").write_bytes(b"x")
    (bundle / "leaderboard.csv").unlink()
    found = problems(bundle, registry)
    assert "leaderboard.md was changed" in found and "photo.png is not listed" in found
    assert "leaderboard.csv is missing" in found and "photo.png has no place in a bundle" in found


def spoil_metric(folder):
    path = cell_of(folder, "zscore") / "metrics.parquet"
    columns = read_parquet(path)
    columns["value"][columns["metric"].tolist().index("auc_within")] = 0.99
    path.write_bytes(parquet_bytes(columns))


def spoil_board(folder):
    data = json.loads((folder / "leaderboard.json").read_text())
    for row in data["rows"]:
        if row["method"] == "zscore":
            row["overall"]["auc_within"]["value"] = 0.99
    (folder / "leaderboard.json").write_text(json.dumps(data))


def spoil_feature(folder):
    path = cell_of(folder, "zscore") / "features.parquet"
    columns = read_parquet(path)
    name = next(n for n in columns if "glcm" in n)
    columns[name] = np.zeros(len(columns[name]))
    path.write_bytes(parquet_bytes(columns))


def spoil_role(folder):
    """The canary, which sees labels, handed in as a method."""
    path = folder / "records.jsonl"
    path.write_text(path.read_text().replace('"role": "canary"', '"role": "method"'))


def spoil_splits(folder):
    path = folder / "splits.parquet"
    columns = read_parquet(path)
    own = np.flatnonzero(columns["protocol"] == "cross-validation")
    columns["fold"] = columns["fold"].astype(object)
    columns["fold"][own[0]] = "cv-1" if columns["fold"][own[0]] == "cv-0" else "cv-0"
    path.write_bytes(parquet_bytes({k: v.astype(str) if v.dtype == object else v for k, v in columns.items()}))


def spoil_controls(folder):
    """The canary and a control left out, with their files."""
    path = folder / "records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["method"] in ("leaky-combat", "collapse"):
            shutil.rmtree(folder / "cells" / line["key"])
    kept = [line for line in lines if line["method"] not in ("leaky-combat", "collapse")]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept))


def spoil_counts(folder):
    plan = json.loads((folder / "plan.json").read_text())
    plan["data"]["patients"] = 2800
    (folder / "plan.json").write_text(json.dumps(plan))


def spoil_schema(folder):
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "seed": "zero"}))


def spoil_columns(folder):
    path = folder / "samples.parquet"
    columns = read_parquet(path)
    path.write_bytes(parquet_bytes({name: column for name, column in columns.items() if name != "split"}))


def spoil_replicates(folder):
    (cell_of(folder, "zscore") / "replicates.npz").write_bytes(b"not a zip file")


def tell_path(folder):
    entries = json.loads((folder / "environment.json").read_text())
    entries[0]["command"] = ["harmbench", "run", "/home/jane/patients/list.csv"]
    (folder / "environment.json").write_text(json.dumps(entries))


def tell_key(folder):
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "id_key": "a" * 48}))


def tell_table(folder):
    (cell_of(folder, "zscore") / "remarks.parquet").write_bytes(parquet_bytes({"note": ["Doe^Jane moved"]}))


def tell_id(folder):
    path = folder / "samples.parquet"
    columns = read_parquet(path)
    columns["patient"] = columns["patient"].astype(object)
    columns["patient"][0] = "Doe^Jane"
    path.write_bytes(parquet_bytes(columns))


SPOILT = {
    spoil_metric: "cell of 'zscore'.*auc_within.*stored 0.99, rebuilt",
    spoil_board: r"the board in it: rows.zscore.overall.auc_within.value is 0\.99 in it, and should be 0",
    spoil_feature: "stored figures are not what the stored data give",
    spoil_role: "'leaky-combat' is recorded with role 'method', and declares 'canary'",
    spoil_splits: "splits.parquet has the digest",
    spoil_controls: "no leaking canary ran",
    spoil_counts: "plan.json has 2800 patients, samples.parquet 28",
    spoil_schema: "schema: .*plan.json: seed",
    spoil_columns: "samples and data: .*samples.parquet, column 'split': there is no such column",
    spoil_replicates: "figures rebuilt: .*replicates.npz: cannot be read",
    tell_path: "anonymous: environment.json: '/home/jane/patients/list.csv'",
    tell_key: "no text of patients: plan.json: id_key tells",
    tell_table: "remarks.parquet has no place in a bundle",
    tell_id: "anonymous: samples.parquet: the column 'patient' holds ids",
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda f: f.__name__)
def test_a_bundle_that_was_spoilt_and_sealed_again_is_found_out(bundle, registry, spoil):
    spoil(bundle)
    if spoil in (spoil_controls, spoil_counts):  # these change the place of a bundle too
        from harmbench.leaderboard.bundle_format import place_of

        run = RunFolder(bundle)
        submission = json.loads((bundle / "submission.json").read_text())
        submission["place"] = place_of(run.plan, list(run.records()))
        (bundle / "submission.json").write_text(json.dumps(submission))
    assert re.search(SPOILT[spoil], problems(sealed(bundle), registry))


def test_real_patients_covariates_are_left_out(small_run, registry, tmp_path):
    assert any(name.startswith("covariate ") for name in read_parquet(small_run / "samples.parquet"))
    as_patients(small_run)
    folder = make_bundle(small_run, tmp_path / "real", registry=registry, **ASKED).folder
    assert not any(name.startswith("covariate ") for name in read_parquet(folder / "samples.parquet"))
    shutil.copy(small_run / "samples.parquet", folder / "samples.parquet")
    assert "tells of real patients" in problems(sealed(folder), registry)


def as_patients(run: Path) -> Path:
    """The run as if its data were of patients."""
    plan = json.loads((run / "plan.json").read_text())
    plan["data"]["synthetic"] = False
    plan["dataset"]["version"] = "0"  # not the one that is installed, which simulates its data
    (run / "plan.json").write_text(json.dumps(plan))
    return forged(run)


def with_failure(run: Path, **facts) -> Path:
    """The run with one method more, that failed."""
    lines = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    record = next(line for line in lines if line["method"] == "zscore")
    broken = {**record, "key": "f" * 16, "method": "broken", "status": "failed", "raw": "", "tables": []}
    broken |= {"details": "Traceback Doe^Jane", "exception": "ValueError", "stage": "broken", "fold": "cv-1", **facts}
    broken |= {"files": {}, "stages": [{**record["stages"][0], "name": "broken"}]}
    with (run / "records.jsonl").open("a") as file:
        file.write(json.dumps(broken) + "\n")
    return forged(run)


def test_of_a_failed_method_a_bundle_of_patients_tells_type_and_place(small_run, registry, tmp_path):
    with_failure(as_patients(small_run), error="ValueError: O'Brien-Mary_us1 of StMary is empty")
    done = make_bundle(small_run, tmp_path / "out", registry=registry, **ASKED)
    for name in ("records.jsonl", "leaderboard.md", "leaderboard.json", "CHECKLIST.md"):
        text = (done.folder / name).read_text()
        assert not any(secret in text for secret in ("Doe", "Brien", "StMary")), name
    assert "ValueError in broken, fold cv-1 (its words are left out" in (done.folder / "records.jsonl").read_text()
    assert "- the text of an error\n" in (done.folder / "CHECKLIST.md").read_text()
    assert any("broken: failed" in warning for warning in done.warnings)


def as_schema_2(run: Path) -> Path:
    """The run as it was written before ids had a key of their own."""
    plan = json.loads((run / "plan.json").read_text())
    del plan["id_key"], plan["data"]["ids"], plan["files"]
    (run / "plan.json").write_text(json.dumps({**plan, "schema": 2}))
    lines = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    new = ("exception", "stage", "fold", "tables", "files")
    old = [{**{k: v for k, v in line.items() if k not in new}, "schema": 2} for line in lines]
    for line in old:
        line["stages"] = [{k: v for k, v in s.items() if k not in ("requires", "package")} for s in line["stages"]]
    (run / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    return run


def test_a_run_of_schema_2_is_still_rebuilt_compared_and_handed_in(small_run, registry, tmp_path):
    board = build([as_schema_2(small_run)], registry=registry)
    assert board.rebuilt and board.data["ids"] == "revision"
    done = make_bundle(small_run, tmp_path / "out", registry=registry, **ASKED)
    assert validate(done.folder, registry).sound
    assert not diff(board, build([small_run, done.folder])).any
    assert run_command(["compare", str(small_run), str(done.folder), "--method", "zscore"]) == 0


def test_runs_of_both_schemas_do_not_stand_on_one_board(small_run, kept_run):
    with pytest.raises(UsageError, match=r"cannot stand on one board .* differ in: data"):
        build([as_schema_2(small_run), kept_run])


def test_a_bundle_of_patients_of_schema_2_does_not_hold_the_key(small_run, registry, tmp_path):
    revision = json.loads((small_run / "plan.json").read_text())["data"]["revision"]
    done = make_bundle(as_schema_2(as_patients(small_run)), tmp_path / "out", registry=registry, **ASKED)
    assert not any(revision.encode() in p.read_bytes() for p in done.folder.rglob("*") if p.is_file())
    assert any("run again with this harmbench" in warning for warning in done.warnings)
    assert validate(done.folder, registry).sound


def test_rows_of_older_runs_are_put_in_the_order_of_their_numbers():
    names = anonymous.Names({"b": "s1", "a": "s0"}, {"q": "p0", "r": "p1"}, {"": ""}, sorts=True)
    table = {"sample": np.array(["b", "a"]), "patient": np.array(["q", "r"]), "x": np.array([1.0, 2.0])}
    told = {name: np.asarray(column).tolist() for name, column in names.columns(table, Path("x")).items()}
    assert told == {"sample": ["s0", "s1"], "patient": ["p1", "p0"], "x": [2.0, 1.0]}


def test_simulated_data_may_keep_the_text_of_an_error_with_numbers_for_ids(small_run, registry, tmp_path):
    sample = read_parquet(small_run / "samples.parquet")["sample"][0]
    with_failure(small_run, error=f"sample '{sample}' is empty")
    done = make_bundle(small_run, tmp_path / "out", registry=registry, **ASKED)
    text = (done.folder / "records.jsonl").read_text()
    assert "sample 's00' is empty" in text and "Traceback" not in text


def test_what_would_tell_who_or_where_stops_the_bundle(small_run, registry, tmp_path, monkeypatch):
    plan = json.loads((small_run / "plan.json").read_text())
    plan["data"]["notes"] = ["measured by Jane-Doe-7 in room 5"]
    (small_run / "plan.json").write_text(json.dumps(plan))
    monkeypatch.setattr(getpass, "getuser", lambda: "jane-doe-7")
    with pytest.raises(DataError, match=r"tells who or where: .*plan.json: 'jane-doe-7'"):
        make_bundle(small_run, tmp_path / "out", registry=registry, **ASKED)
    assert not (tmp_path / "out").exists() and [p.name for p in tmp_path.iterdir()] == ["run"]


def test_no_bundle_holds_a_command_or_the_key_of_its_ids(kept_bundle, kept_run):
    assert all(entry["command"] == [] for entry in json.loads((kept_bundle / "environment.json").read_text()))
    key = json.loads((kept_run / "plan.json").read_text())["id_key"]
    assert len(key) == 48 and json.loads((kept_bundle / "plan.json").read_text())["id_key"] == ""
    assert not any(key.encode() in p.read_bytes() for p in kept_bundle.rglob("*") if p.is_file())


def test_replicates_that_look_like_a_path_are_none(bundle, registry):
    data = json.loads((bundle / "leaderboard.json").read_text())
    from harmbench.leaderboard.check_bundle import untold

    for row in data["rows"]:
        row["draws"] = {name: "/" + text[1:6] + "/" + text[7:] for name, text in row["draws"].items()}
    (bundle / "leaderboard.json").write_text(json.dumps(data))
    assert untold(bundle) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("see /home/jan/x.csv", ["/home/jan/x.csv"]),
        ("C:\\Users\\jan", ["C:\\Users\\jan"]),
        ("~/data/list.csv", ["~/data/list.csv"]),
        ("GE/Philips and 1/2, see https://doi.org/10.1000/1", []),
        ("janet and Jane", ["jane"]),
    ],
)
def test_paths_and_names_are_recognised(text, told):
    assert anonymous.telling(text, ("jane", "maria")) == told


def test_what_cannot_be_handed_in_is_refused(kept_run, small_run, registry, tmp_path):
    with pytest.raises(UsageError, match="--contact must say something"):
        make_bundle(kept_run, tmp_path / "x", licence="MIT", contact=" ", registry=registry)
    with pytest.raises(UsageError, match="schema 1"):
        make_bundle(OLD, tmp_path / "x", registry=registry, **ASKED)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        make_bundle(kept_run, tmp_path / "full", registry=registry, **ASKED)
    spoil_metric(small_run)
    forged(small_run)
    with pytest.raises(DataError, match="rebuilt"):
        make_bundle(small_run, tmp_path / "x", registry=registry, **ASKED)
    spoil_controls(small_run)
    with pytest.raises(DataError, match=r"cannot be handed in: .*canary"):
        make_bundle(small_run, tmp_path / "x", registry=registry, **ASKED)
    assert not (tmp_path / "x").exists()


def test_a_link_in_a_bundle_is_refused(bundle, registry, tmp_path):
    (tmp_path / "outside.md").write_text("x")
    (bundle / "leaderboard.md").unlink()
    (bundle / "leaderboard.md").symlink_to(tmp_path / "outside.md")
    assert "leaderboard.md is a link" in problems(sealed(bundle), registry)


def test_the_verbs_make_and_check_a_bundle(kept_run, tmp_path, capsys):
    out = tmp_path / "bundle"
    arguments = ["--licence", "CC-BY-4.0", "--contact", "x@example.org"]
    assert run_command(["submit", str(kept_run), "--out", str(out), *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["place"].startswith("leaderboard/results/small/")
    assert run_command(["leaderboard", "validate", str(out), str(kept_run)]) == 0
    assert capsys.readouterr().out.count(": sound") == 2
    spoil_metric(out)
    assert run_command(["leaderboard", "validate", str(out), "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert not report["sound"] and "was changed" in report["reports"][0]["problems"][0]


def test_the_script_for_maintainers_finds_all_bundles_and_fails_for_one_that_is_not_sound(kept_bundle, tmp_path):
    script = Path(__file__).resolve().parents[2] / "leaderboard" / "check.sh"
    place = json.loads((kept_bundle / "submission.json").read_text())["place"]
    good = Path(shutil.copytree(kept_bundle, tmp_path / place))
    shutil.copy(script, tmp_path / "leaderboard" / "check.sh")
    command = ["sh", str(tmp_path / "leaderboard" / "check.sh")]
    environment = {"PYTHON": sys.executable, "PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and ": sound" in done.stdout, done.stderr
    spoil_metric(good)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "NOT SOUND" in done.stdout
    shutil.rmtree(tmp_path / "leaderboard" / "results")
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "no bundle" in done.stdout
