"""What is found of changes to a run folder: by digests and keys, and by what follows when those are made to fit."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from tampering import (
    cell_of,
    columns,
    edit,
    first_number,
    forged,
    key_of,
    lines,
    put,
    record,
    swapped,
    write_lines,
)  # fmt: skip

from harmbench.cli import run_command
from harmbench.errors import DataError, HarmbenchError
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.validate import validate
from harmbench.run.parquet import read_parquet
from harmbench.run.store import RunFolder

SELECTED = "laplacian-of-gaussian+select-maps[maps=2,inner_folds=2,inner_repeats=1]"


def problems(folder, registry, **more) -> str:
    report = validate(folder, registry, **more)
    assert not report.sound, report.passed
    return "\n".join(report.problems)


def table(name, change):
    return lambda run: columns(cell_of(run, "zscore") / f"{name}.parquet", change)


def plan(change):
    return lambda run: edit(run / "plan.json", change)


def metric(name, key, value):
    def change(data):
        next(m for m in data["metrics"] if m["name"] == name)[key] = value

    return plan(change)


def stage(**more):
    return lambda run: record(run, "zscore", lambda r: r["stages"][0].update(more))


def fact(**more):
    return lambda run: record(run, "zscore", lambda r: r.update(more))


def without_rows(found):
    return {k: v[1:] for k, v in found.items()}


def in_place_of(run):
    """The figures of `none` under another method's name."""
    shutil.rmtree(cell_of(run, "zscore"))
    shutil.copytree(cell_of(run, "none"), run / "cells" / key_of(run, "zscore"))


def add_cell(run):
    shutil.copytree(cell_of(run, "none"), run / "cells" / "foreign")


def add_file(run):
    shutil.copy(run / "samples.parquet", cell_of(run, "zscore") / "more.parquet")


def add_raw(run):
    shutil.copy(next((run / "raw").iterdir()), run / "raw" / "other.parquet")


def covariate(run):
    columns(run / "samples.parquet", lambda c: put(next(n for n in c if n.startswith("covariate")), 0, 99.0)(c))


UNTIED = {
    "fold": (table("predictions", swapped("fold")), "zscore.*predictions.parquet was changed"),
    "patient": (table("predictions", swapped("patient")), "predictions.parquet was changed"),
    "threshold": (table("predictions", put("threshold", 0, 1e-4)), "predictions.parquet was changed"),
    "used": (table("selection", put("used", 0, False)), "selection.parquet was changed"),
    "folds kept": (table("selection", put("folds_kept", 0, 0)), "selection.parquet was changed"),
    "contribution": (
        table("contributions", lambda c: put(first_number(c), 0, 99.0)(c)),
        "contributions.parquet was ch",
    ),
    "no contributions": (lambda run: (cell_of(run, "zscore") / "contributions.parquet").unlink(), "contributions.par"),
    "note": (table("metrics", put("note", 0, "best method ever")), "metrics.parquet was changed"),
    "another's cell": (in_place_of, "zscore.*(features|metrics).parquet was changed"),
    "foreign cell": (add_cell, "cells/foreign belongs to no record"),
    "foreign file": (add_file, "more.parquet belongs to no record"),
    "foreign raw": (add_raw, "raw/other.parquet belongs to no record"),
    "covariate": (covariate, "samples.parquet was changed"),
    "folds": (plan(lambda d: d["splits"].update(folds=10)), "its key is not that of the plan"),
    "data set's parameter": (plan(lambda d: d["dataset"]["params"].update(tissue_effect=9)), "its key is not that"),
    "extractor's version": (plan(lambda d: d["extractor"].update(version="9")), "its key is not that of the plan"),
    "benchmark's version": (plan(lambda d: d["benchmark"].update(version="9")), "its key is not that of the plan"),
    "stage's parameter": (stage(params={"unseen": "identity"}), "its key is not that of the plan"),
    "stage's version": (stage(version="9"), "its key is not that of the plan"),
}
"""Found as long as digests and keys are as they were."""

FOLLOWS = {
    "fold": (table("predictions", swapped("fold")), "predictions.parquet, column 'fold': sample '.*' is not held out"),
    "patient": (table("predictions", swapped("patient")), "predictions.parquet, column 'patient': not what samples"),
    "manufacturer": (table("predictions", swapped("manufacturer")), "column 'manufacturer': not what samples"),
    "label": (table("predictions", swapped("label")), "predictions.parquet, column 'label': not what samples"),
    "protocol": (table("predictions", put("protocol", 0, "lomo")), r"is not held out in fold '.*' \(lomo\)"),
    "stranger": (table("predictions", put("sample", 0, "dead")), "sample 'dead' is not in samples.parquet"),
    "twice": (
        table("predictions", lambda c: {k: np.concatenate([v, v[:1]]) for k, v in c.items()}), "predicted twice"
    ),
    "row gone": (table("predictions", without_rows), "stored figures are not what"),
    "text score": (table("predictions", lambda c: c.update(score=np.array(["x"] * len(c["score"])))), r"cells/\w+: "),
    "text feature": (
        table("features", lambda c: c.update({list(c)[9]: np.array(["a"] * len(c["sample"]))})), r"cells/\w+: cannot"
    ),
    "no sample column": (
        table("features", lambda c: c.pop("sample") is None or None),
        "features.parquet, column 'sample': there is no such",
    ),
    "note": (table("metrics", put("note", 0, "best method ever")), r"\(note\): stored 'best method ever'"),
    "blank note": (
        table("metrics", lambda c: put("note", next(i for i, n in enumerate(c["note"]) if n), "")(c)),
        r"\(note\): stored ''",
    ),
    "text value": (
        table("metrics", lambda c: c.update(value=np.array(["x"] * len(c["n"])))), "does not hold metric values"
    ),
    "no column value": (table("metrics", lambda c: c.pop("value") is None or None), "does not hold metric values"),
    "seed of a record": (fact(seed=77), "zscore.*its seed is 77, and that of plan.json 0"),
    "renamed": (fact(method="my-method"), "its stages are zscore, which is not 'my-method'"),
    "renamed, and named so": (fact(method="zscore[unseen=identity]"), "recorded with the stages of 'zscore'"),
    "stage's parameter": (stage(params={"unseen": "identity"}), "'zscore' is recorded with the stages of 'zscore.un"),
    "repeat": (fact(repeat=5), "its repeat is 5, and plan.json has 1"),
    "not audited": (fact(audit={}), "zscore .not audited: no answer to label_leak, row_dependent"),
    "gate": (plan(lambda d: d["ranking"].update(gate="nix")), "ranking.gate is 'nix', and no evaluator gives such"),
    "goal": (plan(lambda d: d["ranking"].update(goal="jsd")), "ranking.goal is 'jsd', and no evaluator gives such"),
    "direction": (metric("jsd_conditional", "direction", "max"), "jsd_conditional.direction is 'max'"),
    "definition": (metric("jsd_conditional", "definition", "Total harmony"), "definition is 'Total harmony'"),
    "label of a metric": (metric("jsd_conditional", "label", "XX"), "jsd_conditional.label is 'XX'"),
    "version of a metric": (metric("jsd_conditional", "version", 7), "jsd_conditional.version is 7"),
    "goal of a metric": (metric("jsd_conditional", "goal", "cost"), "jsd_conditional.goal is 'cost'"),
    "metric added": (plan(lambda d: d["metrics"].append({**d["metrics"][0], "name": "extra"})), "extra is "),
    "metric twice": (plan(lambda d: d["metrics"].append(d["metrics"][0])), "is there more than once"),
    "metric of nobody": (metric("jsd_raw", "evaluator", "nobody"), "is of 'nobody', which did not score the run"),
    "metric taken away": (plan(lambda d: d["metrics"].pop(0) is None or None), "is nothing, and the installed"),
    "confounded": (plan(lambda d: d["data"].update(confounded=True)), "plan.json says confounded True, and samples.p"),
    "real": (plan(lambda d: d["data"].update(synthetic=False)), "says that the data are real, and 'plax-phantom' sim"),
    "rebuildable": (plan(lambda d: d.update(rebuildable=False)), "rebuildable False, and a folder of schema 3 is"),
    "a number": (lambda run: (run / "records.jsonl").open("a").write("17\n"), "records.jsonl, row 7: it holds int"),
    "a list": (lambda run: (run / "records.jsonl").open("a").write("[1]\n"), "records.jsonl, row 7: it holds list"),
    "no key": (lambda run: (run / "records.jsonl").open("a").write('{"schema":3}\n'), "jsonl, row 7: key: Field req"),
    "not text": (lambda run: (run / "records.jsonl").open("ab").write(b"\xff\xfe\n"), "jsonl, row 7: not text"),
    "no audit": (lambda run: record(run, "zscore", lambda r: r.pop("audit")), "jsonl, row .: audit: Field required"),
    "old record": (lambda run: record(run, "zscore", lambda r: r.update(schema=2)), "is of schema 2, and plan.json of"),
    "plan of nothing": (lambda run: (run / "plan.json").write_text("[]"), "plan.json: it holds list where an object"),
    "plan not text": (lambda run: (run / "plan.json").write_bytes(b"\xff{}"), "plan.json: not valid JSON"),
    "environment of nothing": (lambda run: (run / "environment.json").write_text("{}"), "environment.json: it must be"),
    "environment empty": (lambda run: (run / "environment.json").write_text("[]"), "environment.json: it must be"),
    "environment of numbers": (lambda run: (run / "environment.json").write_text("[3]"), r"json\[0\]: it holds int"),
    "environment without python": (
        lambda run: edit(run / "environment.json", lambda d: d[0].pop("python") is None or None), r"json\[0\]: python"
    ),
}  # fmt: skip
"""Found although digests and keys were made to fit."""
UNREADABLE = {"plan of nothing", "plan not text", "a number", "a list", "no key", "not text"}


@pytest.mark.parametrize("what", UNTIED)
def test_what_digests_and_keys_say_otherwise_is_named(small_run, registry, what):
    change, message = UNTIED[what]
    assert validate(small_run, registry, rebuild=False).sound
    change(small_run)
    assert re.search(message, problems(small_run, registry, rebuild=False))


@pytest.mark.parametrize("what", FOLLOWS)
def test_what_does_not_follow_is_found_although_digests_and_keys_fit(small_run, registry, what):
    change, message = FOLLOWS[what]
    change(small_run)
    if what not in UNREADABLE and (small_run / "records.jsonl").exists():
        forged(small_run)
    assert re.search(message, problems(small_run, registry))


@pytest.mark.parametrize(
    "what", ["fold", "gate", "goal", "direction", "confounded", "seed of a record", "text score", "plan of nothing",
             "a number", "no audit", "not text", "plan not text", "environment of nothing", "rebuildable"],
)  # fmt: skip
def test_building_refuses_it_with_an_error_for_people(small_run, registry, what):
    change, message = FOLLOWS[what]
    change(small_run)
    if what not in UNREADABLE:
        forged(small_run)
    with pytest.raises(HarmbenchError, match=message):
        build([small_run], registry=registry)


@pytest.mark.parametrize("what", ["another's cell", "used", "folds", "covariate"])
def test_building_refuses_what_is_not_tied(small_run, registry, what):
    UNTIED[what][0](small_run)
    with pytest.raises(DataError, match=r"not what the record|not what plan\.json|its key is not"):
        build([small_run], registry=registry)


def test_the_samples_decide_whether_data_are_confounded(small_run, registry):
    columns(small_run / "samples.parquet", lambda c: c.update(label=(c["manufacturer"] == c["manufacturer"][0]) * 1))
    assert re.search("says confounded False, and samples.parquet True", problems(forged(small_run), registry))


def as_schema_2(run):
    """A folder as harmbench wrote it before files were tied to records."""

    def older(data):
        del data["files"]
        data["schema"] = 2

    edit(run / "plan.json", older)
    edit(run / "environment.json", lambda entries: [e.pop("schema") for e in entries] and None)
    records = lines(run)
    for one in records:
        older(one)
        for part in one["stages"]:
            del part["requires"], part["package"]
    write_lines(run, records)
    return run


def test_a_folder_of_schema_2_is_rebuilt_and_its_files_are_said_not_to_be_tied(small_run, registry):
    figures = build([small_run], registry=registry).rows
    report = validate(as_schema_2(small_run), registry)
    assert report.sound, report.problems
    assert any("files not tied to the record" in w for w in report.warnings)
    board = build([small_run], registry=registry)
    assert board.rebuilt and [(r.method, r.overall) for r in board.rows] == [(r.method, r.overall) for r in figures]


def test_a_folder_that_says_it_is_of_schema_1_has_records_of_another(small_run, registry):
    def older(data):
        data.update(schema=1, rebuildable=False)
        for one in data["metrics"]:
            one["bounds"] = [0.0, 1.0]

    edit(small_run / "plan.json", older)
    assert "records.jsonl, row 1: it is of schema 3, and plan.json of 1" in problems(small_run, registry)


def test_a_cell_that_is_tried_again_leaves_nothing_of_the_first_try(tmp_path):
    from harmbench.run.execute import Outcome

    folder = RunFolder(tmp_path)
    (tmp_path / "plan.json").write_text("{}")
    first = folder.append(Outcome("k", "m", "failed", log="it broke"), {})
    assert list(first["files"]) == ["log.txt"] and (folder.cell("k") / "log.txt").exists()
    assert folder.append(Outcome("k", "m", "failed"), {})["files"] == {}
    assert not (folder.cell("k") / "log.txt").exists()


def test_a_file_where_a_folder_belongs_is_an_error_for_people(tmp_path, kept_run, capsys):
    (tmp_path / "onefile.json").write_text((kept_run / "plan.json").read_text())
    assert run_command(["leaderboard", "build", str(tmp_path / "onefile.json"), "-o", str(tmp_path / "o")]) == 3
    assert "there is no plan.json" in capsys.readouterr().err


def test_every_entry_of_the_environment_carries_its_number(kept_run):
    assert [e["schema"] for e in json.loads((kept_run / "environment.json").read_text())] == [3]


def test_records_name_the_digest_of_every_file(kept_run):
    for key, one in RunFolder(kept_run).records().items():
        assert sorted(one["files"]) == sorted(f.name for f in RunFolder(kept_run).cell(key).iterdir())
    assert len(read_parquet(cell_of(kept_run, SELECTED) / "features.parquet")["sample"]) == 28
