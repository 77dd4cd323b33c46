from __future__ import annotations

import pytest

from harmbench.errors import UsageError
from harmbench.methods import convert, parse_method


def test_a_name_takes_its_defaults(tiny_registry):
    method = parse_method("center", tiny_registry)
    assert method.name == "center"
    assert method.image is None
    assert dict(method.features[0].params) == {"scale": 1.0}


def test_stages_compose_and_keep_their_own_parameters(tiny_registry):
    method = parse_method("lazy[bad=s1]+center[scale=2]+none", tiny_registry)
    assert method.image.params == {"bad": "s1"}
    assert [s.spec.name for s in method.features] == ["center", "none"]
    assert method.name == "lazy[bad=s1]+center[scale=2.0]+none"


def test_a_default_written_out_is_the_same_method(tiny_registry):
    assert parse_method("center[scale=1]", tiny_registry).name == parse_method("center", tiny_registry).name


def test_brackets_win_over_settings(tiny_registry):
    method = parse_method("center[scale=3]", tiny_registry, {"center": {"scale": "2"}})
    assert method.features[0].params["scale"] == 3.0
    assert parse_method("center", tiny_registry, {"center": {"scale": "2"}}).features[0].params["scale"] == 2.0


def test_a_value_may_hold_commas(tiny_registry):
    assert parse_method("ssl-kernel[select=0,3,7,reduce=l2]", tiny_registry).image.params["select"] == "0,3,7"


def test_a_control_among_the_stages_makes_the_method_a_control(tiny_registry):
    assert parse_method("random-kernel+combat", tiny_registry).role == "control"
    assert parse_method("leaky-combat", tiny_registry).role == "canary"
    assert not parse_method("leaky-combat", tiny_registry).inductive


def test_a_file_among_the_parameters_is_named_by_its_content_and_not_by_its_path(tiny_registry, tmp_path):
    names = []
    for folder, content in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "mine.safetensors"
        file.write_bytes(content)
        method = parse_method(f"ssl-kernel[kernels={file}]", tiny_registry)
        assert str(tmp_path) not in method.name + str(method.key())
        names.append((method.name, str(method.key())))
    assert names[0] == names[2] != names[1]
    assert names[0][0].startswith("ssl-kernel[kernels=mine.safetensors@")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("centre", "Did you mean 'center'"),
        ("center[scael=1]", "Did you mean 'scale'"),
        ("center[scale]", "parameter=value"),
        ("center[scale=much]", "takes a number"),
        ("center+lazy", "it comes first"),
        ("lazy+brightness", "one image stage"),
        ("center,none", "joined by '\\+'"),
        ("", "Cannot read method"),
        ("none[x=1]", "takes none"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_a_remedy(text, message, tiny_registry):
    with pytest.raises(UsageError, match=message):
        parse_method(text, tiny_registry)


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [("True", False, True), ("false", True, False), ("7", 1, 7), ("7", 1.0, 7.0), ("1e-3", 1.0, 0.001), ("7", "", "7")],
)
def test_text_becomes_the_type_of_the_default(text, default, value):
    converted = convert(text, default, "x.y")
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(("text", "default"), [("1", True), ("yes", True), ("1.5", 2), ("true", 2), ("true", 2.0)])
def test_text_of_another_type_is_refused(text, default):
    with pytest.raises(UsageError, match=r"x\.y takes"):
        convert(text, default, "x.y")
