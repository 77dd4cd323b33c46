"""The pre-transform axis: what it multiplies, what it leaves alone, and what cannot stand on it."""

from __future__ import annotations

import pytest

from harmbench.benchmark import load_benchmark
from harmbench.errors import DataError, UsageError
from harmbench.methods import parse_method
from harmbench.plugins import build_registry
from harmbench.run.axes import multiply, read_axis, split_names
from harmbench.run.plan import make_plan


@pytest.fixture(scope="module")
def registry():
    return build_registry()


def names(method, axis, registry):
    stages = read_axis([axis], registry, {})
    return [m.name for m in multiply(parse_method(method, registry), stages)]


def test_each_transform_stands_before_the_feature_stages(registry):
    assert names("combat", "none,signed-log,rank-gauss", registry) == [
        "combat",
        "signed-log+combat",
        "rank-gauss+combat",
    ]


def test_the_image_stage_stays_first(registry):
    assert names("ssl-kernel+combat", "signed-log", registry) == ["ssl-kernel+signed-log+combat"]


def test_with_none_left_out_of_the_axis_the_method_does_not_run_without_a_transform(registry):
    assert names("combat", "signed-log", registry) == ["signed-log+combat"]


def test_features_left_alone_become_the_transform_by_itself(registry):
    assert names("none", "none,signed-log", registry) == ["none", "signed-log"]


@pytest.mark.parametrize("method", ["ssl-kernel", "collapse", "leaky-combat", "random-kernel+combat"])
def test_methods_without_a_feature_stage_and_controls_are_left_as_they_are(method, registry):
    assert names(method, "none,signed-log,rank-gauss", registry) == [method]


def test_a_chain_that_holds_a_transform_of_the_axis_is_left_as_it_is(registry):
    assert names("signed-log+combat", "none,signed-log,rank-gauss", registry) == ["signed-log+combat"]


def test_parameters_of_a_transform_may_stand_in_brackets_and_in_settings(registry):
    assert names("combat", "signed-log[level=0.1]", registry) == ["signed-log[level=0.1]+combat"]
    (stage,) = read_axis(["signed-log"], registry, {"signed-log": {"level": "0.2"}})
    assert stage is not None and stage.params["level"] == 0.2


def test_names_are_split_at_commas_outside_brackets():
    assert split_names(["none, a[x=1,y=2],b", "c"]) == ["none", "a[x=1,y=2]", "b", "c"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("combat", "looks at the manufacturer"),
        ("ssl-kernel", "works on images"),
        ("shuffle", "it is a control"),
        ("signed-log+rank-gauss", "single transforms"),
        ("signed-lgo", "Did you mean 'signed-log'"),
    ],
)
def test_what_is_no_pre_transform_is_refused_with_the_reason(name, why, registry):
    with pytest.raises(UsageError, match=why):
        read_axis([name], registry, {})


def plan_names(benchmark, registry, **more):
    return [c.method.name for c in make_plan(benchmark, registry, controls=False, **more).cells]


def test_reference_methods_always_run_as_they_are(registry):
    benchmark = load_benchmark("plax-phantom")
    found = plan_names(benchmark, registry, methods=["combat"], pre_transforms=["signed-log"])
    assert found == ["none", "signed-log", "combat", "signed-log+combat"]


def test_a_benchmark_file_may_hold_the_axis_and_the_command_line_wins(tiny_benchmark, tiny_registry):
    text = tiny_benchmark.read_text()
    tiny_benchmark.write_text(text.replace("[methods]\n", '[methods]\npre_transforms = ["none", "rank-gauss"]\n', 1))
    benchmark = load_benchmark(str(tiny_benchmark))
    found = plan_names(benchmark, tiny_registry, methods=["center"])
    assert found == ["none", "rank-gauss", "center", "rank-gauss+center"]
    found = plan_names(benchmark, tiny_registry, methods=["center"], pre_transforms=["signed-log"])
    assert found == ["none", "signed-log", "signed-log+center"]


def test_a_misspelt_axis_in_a_benchmark_file_is_an_error(tiny_benchmark):
    text = tiny_benchmark.read_text()
    tiny_benchmark.write_text(text.replace("[methods]\n", '[methods]\npre_transform = ["none"]\n', 1))
    with pytest.raises(DataError, match=r"methods\.pre_transform"):
        load_benchmark(str(tiny_benchmark))
