from __future__ import annotations

import pytest

from harmbench.benchmark import load_benchmark
from harmbench.errors import DataError, HarmbenchError, UsageError
from harmbench.plugins import build_registry
from harmbench.run.plan import make_plan, read_settings


def plan(tiny_benchmark, registry, methods=(), sets=(), **more):
    return make_plan(load_benchmark(str(tiny_benchmark)), registry, methods, read_settings(sets), **more)


def names(p):
    return [c.method.name for c in p.cells]


def test_reference_methods_and_controls_are_always_added():
    p = make_plan(load_benchmark("plax-phantom"), build_registry(), ["ssl-kernel"])
    assert names(p)[:3] == ["none", "combat", "ssl-kernel"]
    assert {"collapse", "shuffle", "oracle-label", "oracle-site", "random-kernel", "leaky-combat"} <= set(names(p))


def test_a_method_named_twice_is_one_cell(tiny_benchmark, tiny_registry):
    assert names(plan(tiny_benchmark, tiny_registry, ["center", "none", "center[scale=1.0]"])) == ["none", "center"]


def test_two_parameter_sets_of_one_method_are_two_cells_with_two_keys(tiny_benchmark, tiny_registry):
    p = plan(tiny_benchmark, tiny_registry, ["center", "center[scale=2]"])
    assert names(p) == ["none", "center", "center[scale=2.0]"]
    assert len({c.key for c in p.cells}) == 3


@pytest.mark.parametrize(
    ("sets", "more"),
    [
        (["mean-and-sd.extra=1"], {}),
        (["tiny.patients=30"], {}),
        (["splits.folds=4"], {}),
        (["uncertainty.replicates=200"], {}),
        ([], {"seed": 1}),
    ],
)
def test_whatever_changes_a_result_changes_its_key(tiny_benchmark, tiny_registry, sets, more):
    before = {c.key for c in plan(tiny_benchmark, tiny_registry).cells}
    after = {c.key for c in plan(tiny_benchmark, tiny_registry, (), sets, **more).cells}
    assert not before & after


def test_the_order_of_methods_does_not_change_their_keys(tiny_benchmark, tiny_registry):
    one = plan(tiny_benchmark, tiny_registry, ["center", "peeks"])
    two = plan(tiny_benchmark, tiny_registry, ["peeks", "center"])
    assert {c.method.name: c.key for c in one.cells} == {c.method.name: c.key for c in two.cells}


def test_repeats_multiply_cells(tiny_benchmark, tiny_registry):
    p = plan(tiny_benchmark, tiny_registry, (), ["splits.repeats=3"])
    assert len(p.cells) == 6
    assert len({c.key for c in p.cells}) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("centre.scale=1", "Did you mean 'center'"),
        ("center.scal=1", "Did you mean 'scale'"),
        ("splits.fold=3", "Did you mean 'folds'"),
        ("splits.folds=1", "greater than or equal to 2"),
        ("splits.folds=some", "valid integer"),
        ("tiny.patients=many", "whole number"),
        ("combat", "must read name.parameter=value"),
        ("combat.eb", "must read name.parameter=value"),
    ],
)
def test_a_wrong_setting_is_an_error_with_a_remedy(tiny_benchmark, tiny_registry, text, message):
    with pytest.raises(UsageError, match=message):
        plan(tiny_benchmark, tiny_registry, (), [text])


def test_an_unknown_benchmark_gets_a_suggestion():
    with pytest.raises(UsageError, match="Did you mean 'plax-phantom'"):
        load_benchmark("plax-fantom")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("folds = 3", "folds = 'x'", "splits.folds"),
        ('name = "tiny"\nversion', 'nam = "tiny"\nversion', "name"),
        ("[dataset]", "[dataset", "not valid TOML"),
    ],
)
def test_a_wrong_benchmark_file_names_the_file_and_the_key(tiny_benchmark, old, new, message):
    tiny_benchmark.write_text(tiny_benchmark.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=rf"tiny\.toml: .*{message}"):
        load_benchmark(str(tiny_benchmark))


@pytest.mark.parametrize(("number", "message"), [("99", "schema 99.*pip install"), ("'x'", "no schema number")])
def test_a_benchmark_file_of_another_schema_is_refused_as_other_files_are(tiny_benchmark, number, message):
    tiny_benchmark.write_text(tiny_benchmark.read_text().replace("schema = 1", f"schema = {number}", 1))
    with pytest.raises(HarmbenchError, match=rf"tiny\.toml.*{message}"):
        load_benchmark(str(tiny_benchmark))


def test_every_shipped_benchmark_plans():
    from harmbench.benchmark_files import benchmark_files

    registry = build_registry()
    for name in benchmark_files():
        p = make_plan(load_benchmark(name), registry)
        assert p.benchmark.name == name
        declared = {m.name for e in p.evaluators for m in e.spec.metrics}
        assert {p.benchmark.ranking.gate, p.benchmark.ranking.goal} <= declared


@pytest.mark.parametrize("role", ["gate", "goal"])
def test_ranking_by_an_unknown_metric_is_an_error_before_anything_runs(tiny_benchmark, tiny_registry, role):
    with pytest.raises(UsageError, match=rf"ranking\.{role}: no evaluator gives a metric 'gab'.*Did you mean 'gap'"):
        plan(tiny_benchmark, tiny_registry, (), [f"ranking.{role}=gab"])


def test_two_evaluators_cannot_give_one_metric(tiny_benchmark, tiny_registry):
    tiny_benchmark.write_text(
        tiny_benchmark.read_text().replace('name = "gap"\n', 'name = "gap"\n[[evaluators]]\nname = "gap"\n', 1)
    )
    with pytest.raises(UsageError, match="Metric 'gap' is given by both"):
        plan(tiny_benchmark, tiny_registry)
