"""The JSON Schemas that are committed are those of the models, and no model changes without a new version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harmbench import schemas
from harmbench.benchmark import load_benchmark
from harmbench.run.plan import make_plan
from harmbench.run.run import Options, run
from harmbench.run.store import RunFolder

NAMES = sorted(schemas.documents())
REMEDY = "run `python -m harmbench.schemas`"


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_schema_is_that_of_the_model(name):
    committed = (schemas.FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert json.loads(committed) == schemas.schema(schemas.documents()[name]), REMEDY


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_changes_only_with_its_version(name):
    document = schemas.documents()[name]
    known = schemas.known_versions()[name]
    assert known.get(str(document.version)) == schemas.fingerprint(schemas.schema(document)), (
        f"the schema of {name} changed: raise its SCHEMA, add the upgrade step, and {REMEDY}"
    )
    assert max(map(int, known)) == document.version


def test_versions_that_there_have_been_are_not_rewritten():
    known = schemas.known_versions()
    assert known["leaderboard"]["1"] == "8ca61ca211c582b9"
    assert known["benchmark"]["1"] == "262055eefca73b38"


def test_the_fingerprint_leaves_words_for_people_out_and_nothing_else():
    field = {"type": "string", "description": "a"}
    one = {"title": "T", "properties": {"title": field, "description": {"type": "integer"}}}
    words = {"title": "U", "properties": {"title": {**field, "description": "b"}, "description": {"type": "integer"}}}
    less = {"title": "T", "properties": {"title": field}}
    other = {"title": "T", "properties": {"title": {"type": "number"}, "description": {"type": "integer"}}}
    assert schemas.fingerprint(one) == schemas.fingerprint(words)
    assert len({schemas.fingerprint(v) for v in (one, less, other)}) == 3


def test_a_changed_schema_cannot_be_written_under_its_old_number(tmp_path, monkeypatch):
    from pydantic import BaseModel

    class Another(BaseModel):
        something: int

    monkeypatch.setattr(schemas, "FOLDER", tmp_path)
    (tmp_path / schemas.VERSIONS).write_text(
        json.dumps(json.loads((Path(schemas.__file__).parent / schemas.VERSIONS).read_text()))
    )
    monkeypatch.setattr(schemas, "documents", lambda: {"plan": schemas.Document(Another, 3)})
    with pytest.raises(ValueError, match="upgrade_3_to_4"):
        schemas.write()
    monkeypatch.setattr(schemas, "documents", lambda: {"plan": schemas.Document(Another, 4)})
    schemas.write()
    assert set(schemas.known_versions()["plan"]) == {"2", "3", "4"}


def test_what_a_run_writes_keeps_to_the_models(tiny_benchmark, tiny_registry, tmp_path):
    plan = make_plan(load_benchmark(str(tiny_benchmark)), tiny_registry, ["center", "crashes"])
    folder = RunFolder(run(plan, tiny_registry, Options(out=tmp_path / "run")).folder)
    files = {"plan": [folder.plan], "record": folder.records().values(), "environment": folder.environment}
    for name, values in files.items():
        model = schemas.documents()[name].model
        for value in values:
            assert model.model_validate_json(json.dumps(value)).model_dump(mode="json", by_alias=True) == value
