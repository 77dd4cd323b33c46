"""What is found of changes to a board alone, and to a bundle whose digests and checksums were made to fit."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from tampering import edit, forged

from harmbench.errors import DataError
from harmbench.leaderboard.bundle import make_bundle
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.draws import decode, encode
from harmbench.leaderboard.files import read_board
from harmbench.leaderboard.render import write
from harmbench.leaderboard.same import boards_differ, unequal
from harmbench.leaderboard.validate import validate

NOT_BY_ITSELF = ""
"""What a board alone cannot show."""


@pytest.fixture(scope="module")
def kept(kept_run, registry, tmp_path_factory):
    """A bundle and a board, not to be written to."""
    home = tmp_path_factory.mktemp("kept")
    make_bundle(kept_run, home / "bundle", licence="MIT", contact="x@example.org", registry=registry)
    write(build([kept_run], registry=registry), home / "board")
    return home


def row(data, method="zscore"):
    return next(r for r in data["rows"] if r["method"] == method)


def figure(**more):
    return lambda d: row(d)["overall"]["auc_within"].update(more)


def of_row(method="zscore", **more):
    return lambda d: row(d, method).update(more)


def of_board(**more):
    return lambda d: d.update(more)


def definition(name="jsd_conditional", **more):
    return lambda d: d["definitions"][name].update(more)


def failed(d):
    row(d).update(status="failed", apart="not run", apart_reason="broken", section="not run", reason="broken")


def other_draws(d):
    row(d)["draws"] = row(d, "none")["draws"]


def cheap(d):
    for name, facts in d["definitions"].items():
        if facts["goal"] == "cost":
            row(d)["overall"][name]["value"] = 0.001


FRONT = {"on_front": True, "probability": 1.0, "dominates": 1.0}
FACTS = {
    "value": (figure(value=0.99), NOT_BY_ITSELF, "auc_within.value is 0.99"),
    "interval": (figure(low=0.99), "the interval of auc_within ends at 0.99", "auc_within.low is 0.99"),
    "n": (figure(n=999), NOT_BY_ITSELF, "auc_within.n is 999"),
    "note": (figure(note="x"), NOT_BY_ITSELF, "auc_within.note is 'x'"),
    "not a number": (figure(value=float("nan")), "needs finite values|should be", "auc_within.value is nan"),
    "times": (cheap, NOT_BY_ITSELF, r"(seconds_\w+|peak_memory_mb).value is 0.001"),
    "rank": (of_row(rank=[9, 9]), r"zscore.rank(\[0\])? is", r"zscore.rank(\[0\])? is"),
    "group": (of_row(group=99), "zscore.group is 99", "zscore.group is 99"),
    "difference": (of_row(difference=[0.5, 0.4, 0.6]), r"zscore.difference\[0\] is 0.5", r"difference\[0\] is 0.5"),
    "front": (of_row(pareto=FRONT), "zscore.pareto", "zscore.pareto"),
    "sweep": (of_board(sweep=None), "sweep is None", "sweep is None"),
    "warnings": (of_board(warnings=[]), "warnings is 0|length of warnings", "length of warnings"),
    "worst": (of_row(worst={}), "'zscore' has worst {}", "zscore.worst"),
    "flags": (of_row("leaky-combat", flags=[]), "'leaky-combat' (has the flags|is recorded)", "leaky-combat.flags"),
    "features": (of_row(features=1), NOT_BY_ITSELF, "zscore.features is 1 "),
    "audit": (of_row(audit={}), "zscore.*not audited", "zscore.audit"),
    "stages": (of_row(stages=[]), "recorded with stages that are not zscore", "length of rows.zscore.stages"),
    "draws": (other_draws, "interval of .* ends at", r"zscore.draws.\w+ differs"),
    "no draws": (of_row(draws={}), "and no replicates to rank it by", "zscore.draws"),
    "draws of nonsense": (of_row(draws={"auc_within": "!!!"}), "cannot be decoded", "zscore.draws"),
    "apart": (of_row("leaky-combat", apart=None), "stands apart as None", "leaky-combat.apart is None"),
    "role": (of_row("leaky-combat", apart=None, role="method"), "no leaking canary", "leaky-combat.role is 'method'"),
    "status": (of_row(status="failed"), "has status failed and figures", "zscore.status is 'failed'"),
    "failed": (failed, "has status failed and figures", "zscore.status is 'failed'"),
    "definition": (definition(definition="Harmony"), "definition is 'Harmony'", "definition is 'Harmony'"),
    "direction": (definition(direction="max"), "direction is 'max'", "direction is 'max'"),
    "version": (definition(version=9), "version is 9", "version is 9"),
    "recorded": (definition(recorded="because"), NOT_BY_ITSELF, "recorded is 'because'"),
    "definition too many": (
        lambda d: d["definitions"].update(zz=d["definitions"]["jsd_raw"]), "'zz' is defined as", "definitions.zz is"
    ),
    "title": (of_board(title="Real"), NOT_BY_ITSELF, "title is 'Real'"),
    "synthetic": (of_board(synthetic=False), "it says synthetic False", "synthetic is False"),
    "confounded": (lambda d: d["data"].update(confounded=True), "it says confounded True", "data.confounded is True"),
    "notes": (lambda d: d["data"].update(notes=[]), NOT_BY_ITSELF, "length of data.notes"),
    "patients": (lambda d: d["data"].update(patients=9999), NOT_BY_ITSELF, "data.patients is 9999"),
    "images": (lambda d: d["data"].update(images=9999), "9999 images, and its counts 28", "data.images is 9999"),
    "no data": (of_board(data={}), "data lacks name", "data lacks name"),
    "delta": (lambda d: d["ranking"].update(delta=1.0), r"rows\.|length of|sweep|warnings", "ranking.delta is 1.0"),
    "gate": (lambda d: d["ranking"].update(gate="nix"), "ranking.gate is 'nix', which has no def", "ranking.gate is"),
    "settings": (of_board(settings={}), "settings lacks extractor", "settings lacks extractor"),
    "runs": (of_board(runs=[]), "comes from none of its runs", "length of runs"),
    "benchmark": (of_board(benchmark="other"), NOT_BY_ITSELF, "benchmark is 'other'"),
    "benchmark's version": (of_board(benchmark_version="77"), NOT_BY_ITSELF, "benchmark_version is '77'"),
    "split digest": (of_board(split_digest="x"), NOT_BY_ITSELF, "split_digest is 'x'"),
    "seed": (of_board(seed=3), NOT_BY_ITSELF, "seed is 3"),
    "not rebuilt": (of_board(rebuilt=False), "it was not rebuilt, and does not say so", "rebuilt is False"),
    "cannot be rebuilt": (of_board(rebuildable=False), "and that they cannot be", "rebuildable is False"),
    "deviations": (of_board(deviations=[]), NOT_BY_ITSELF, "deviations is "),
    "row twice": (lambda d: d["rows"].append(row(d)), "'zscore' stands in it more than once", "more than once"),
    "row gone": (lambda d: d["rows"].remove(row(d)), "", "'zscore' is missing"),
    "another order": (lambda d: d["rows"].reverse(), "rows are in another order", "rows are in another order"),
    "list": (lambda d: [1], "not a board", "not a board"),
}  # fmt: skip


@pytest.mark.parametrize("what", [w for w in FACTS if FACTS[w][1]])
def test_what_a_board_says_against_itself_is_found(kept, registry, tmp_path, what):
    change, alone, _ = FACTS[what]
    path = tmp_path / "leaderboard.json"
    shutil.copy(kept / "board" / "leaderboard.json", path)
    assert validate(path, registry).sound
    edit(path, change)
    report = validate(path, registry)
    assert not report.sound and re.search(alone, "\n".join(report.problems)), report.problems


@pytest.fixture(scope="module")
def anew(kept, registry):
    return build([kept / "bundle"], registry=registry)


@pytest.mark.parametrize("what", FACTS)
def test_the_whole_board_in_a_bundle_is_compared_with_the_one_made_anew(kept, anew, tmp_path, what):
    """What `validate` does with the board in a bundle, without rebuilding it for every change."""
    path = tmp_path / "leaderboard.json"
    shutil.copy(kept / "bundle" / "leaderboard.json", path)
    assert boards_differ(read_board(path), anew) == []
    edit(path, FACTS[what][0])
    try:
        found = "\n".join(boards_differ(read_board(path), anew))
    except DataError as error:
        found = str(error)
    assert re.search(FACTS[what][2], found), found


def test_a_bundle_with_another_board_is_not_sound(kept, registry, tmp_path):
    bundle = shutil.copytree(kept / "bundle", tmp_path / "bundle")
    edit(bundle / "leaderboard.json", FACTS["front"][0])
    problems = validate(forged(bundle), registry).problems
    assert problems and all(p.startswith("the board in it: rows.zscore.pareto") for p in problems)


@pytest.mark.parametrize("name", ["leaderboard.md", "leaderboard.csv", "CHECKLIST.md"])
def test_texts_of_a_bundle_are_what_its_board_gives(kept, registry, tmp_path, name):
    bundle = shutil.copytree(kept / "bundle", tmp_path / "bundle")
    text = (bundle / name).read_text()
    (bundle / name).write_text(text.replace("small", "large").replace("28 images", "29 images"))
    assert validate(forged(bundle), registry).problems == [f"texts: {name} is not what the board gives"]


def test_a_board_written_in_another_way_is_found(kept, registry, tmp_path):
    bundle = shutil.copytree(kept / "bundle", tmp_path / "bundle")
    data = json.loads((bundle / "leaderboard.json").read_text())
    (bundle / "leaderboard.json").write_text(json.dumps(data))
    assert validate(forged(bundle), registry).problems == ["texts: leaderboard.json is not what the board gives"]


def test_texts_of_another_version_are_said_not_to_be_compared(kept, registry, tmp_path, monkeypatch):
    from harmbench.leaderboard import bundle_texts

    bundle = shutil.copytree(kept / "bundle", tmp_path / "bundle")
    (bundle / "leaderboard.md").write_text("as it was rendered then\n")
    monkeypatch.setattr(bundle_texts, "__version__", "9.0")
    report = validate(forged(bundle), registry)
    assert report.sound and any("its texts were not compared" in w for w in report.warnings)


def test_a_bundle_without_its_board_is_not_sound(kept, registry, tmp_path):
    bundle = shutil.copytree(kept / "bundle", tmp_path / "bundle")
    (bundle / "leaderboard.json").unlink()
    assert "there is no such board" in "".join(validate(forged(bundle), registry).problems)


def test_rounding_is_no_difference(kept, anew):
    board = read_board(kept / "bundle")
    board.row("zscore").overall["auc_within"].value += 1e-12
    draws = decode(board.row("zscore").draws["auc_within"])
    board.row("zscore").draws["auc_within"] = encode(draws * (1 + 1e-7))
    assert boards_differ(board, anew) == []


@pytest.mark.parametrize(
    ("one", "other", "paths"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, ["a"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a[1]"]),
        ({"a": [1]}, {"a": [1, 2]}, ["length of a"]),
        ({"a": {"b": None}}, {"a": {}}, ["a.b"]),
        (float("nan"), float("nan"), []),
        ({"a": 1e12}, {"a": 1e12 + 1}, []),
        ({"a": 0.0}, {"a": 1e-8}, ["a"]),
    ],
)
def test_differences_are_named_by_path(one, other, paths):
    assert [path for path, _, _ in unequal(one, other)] == paths


def test_a_board_says_that_rebuilding_is_its_own_claim(kept, registry):
    report = validate(kept / "board", registry)
    assert report.sound and any("is what the board says" in w for w in report.warnings)
