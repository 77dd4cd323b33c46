from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from harmbench import plugins
from harmbench.errors import PluginError, UsageError
from harmbench.plugins import build_registry

TINY = Path(__file__).parents[1] / "tiny_plugin.py"

GOOD = """
from harmbench import HarmonizerSpec, hookimpl
@hookimpl
def register_harmonizers():
    return [HarmonizerSpec(name="{name}", target="{module}:X", version="1", stage="feature", summary="x")]
"""


class _Distribution:
    def __init__(self, name):
        self.name, self.version = name, "2.5"


class _Entry:
    """What importlib.metadata gives for an installed plugin."""

    def __init__(self, module, distribution):
        self.name, self.value, self.dist = module, module, _Distribution(distribution)

    def load(self):
        return EntryPoint(self.name, self.value, plugins.GROUP).load()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install plugins made of text; returns a function of module name and source."""
    entries = []
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: entries)

    def add(module, source):
        (tmp_path / f"{module}.py").write_text(source)
        entries.append(_Entry(module, f"dist-of-{module}"))

    return add


def test_a_plugin_that_breaks_is_reported_and_all_others_work(install):
    install("aaa_broken", "import a_module_nobody_has")
    install("bbb_exits", "raise SystemExit(3)")
    install("ccc_good", GOOD.format(name="good-one", module="ccc_good"))
    registry = build_registry()
    assert registry.harmonizers.get("good-one").name == "good-one"
    assert registry.harmonizers.get("combat")
    texts = [str(f) for f in registry.failures]
    assert len(texts) == 2
    assert "aaa_broken" in texts[0] and "dist-of-aaa_broken 2.5" in texts[0] and "a_module_nobody_has" in texts[0]
    assert "bbb_exits" in texts[1]


def test_an_unknown_name_says_which_plugins_did_not_load(install):
    install("aaa_broken2", "1/0")
    with pytest.raises(UsageError, match=r"aaa_broken2.*ZeroDivisionError"):
        build_registry().harmonizers.get("the-one-in-broken2")


def test_a_hook_that_raises_or_returns_nonsense_is_reported(install):
    head = "from harmbench import hookimpl\n@hookimpl\n"
    install("raising_hook", f"{head}def register_datasets():\n    raise OSError('x')")
    install("nonsense_hook", f"{head}def register_extractors():\n    return ['y']")
    texts = " ".join(str(f) for f in build_registry().failures)
    assert "register_datasets raised OSError" in texts
    assert "returned a str, not a ExtractorSpec" in texts


def test_a_misspelt_hook_is_an_error_not_silence(install):
    install("misspelt", "from harmbench import hookimpl\n@hookimpl\ndef register_harmoniser():\n    return []")
    assert any("register_harmoniser" in str(f) for f in build_registry().failures)


def test_a_name_claimed_by_two_strangers_is_refused_for_both_and_names_both(install):
    install("one_mine", GOOD.format(name="mine", module="one_mine"))
    install("two_mine", GOOD.format(name="mine", module="two_mine"))
    registry = build_registry()
    with pytest.raises(UsageError, match=r"both dist-of-one_mine 2.5 and dist-of-two_mine 2.5"):
        registry.harmonizers.get("mine")
    assert any("already registered by dist-of-one_mine" in str(f) for f in registry.failures)
    assert registry.harmonizers.get("none")


def test_a_stranger_cannot_take_a_built_ins_name_away(install):
    install("one_combat", GOOD.format(name="combat", module="one_combat"))
    registry = build_registry()
    assert registry.harmonizers.origin("combat").plugin == "builtin"
    assert registry.harmonizers.get("combat").target.startswith("harmbench_builtin")
    assert any("dist-of-one_combat" in str(f) and "the built-in keeps the name" in str(f) for f in registry.failures)


def test_a_hook_written_as_a_generator_that_fails_is_reported(install):
    head = "from harmbench import HarmonizerSpec, hookimpl\n@hookimpl\ndef register_harmonizers():\n"
    install("generating", head + "    yield HarmonizerSpec(name='Bad Name', target='a:b', version='1')")
    registry = build_registry()
    assert registry.harmonizers.get("combat")
    assert any("generating" in str(f) for f in registry.failures)


def test_strict_mode_raises_at_the_first_failure(install, monkeypatch):
    install("broken_strict", "1/0")
    monkeypatch.setenv("HARMBENCH_STRICT", "1")
    with pytest.raises(PluginError, match="broken_strict"):
        build_registry()


def test_the_environment_restricts_which_plugins_load(install, monkeypatch):
    install("wanted", GOOD.format(name="wanted-one", module="wanted"))
    install("unwanted", GOOD.format(name="unwanted-one", module="unwanted"))
    monkeypatch.setenv("HARMBENCH_PLUGINS", "wanted")
    names = build_registry().harmonizers.entries
    assert "wanted-one" in names and "unwanted-one" not in names and "combat" in names


def test_trace_prints_hook_calls(install, monkeypatch, capsys):
    monkeypatch.setenv("HARMBENCH_TRACE", "1")
    build_registry()
    assert "register_harmonizers() -> builtin of harmbench" in capsys.readouterr().err


def test_a_loose_file_is_loaded_and_marked_unpackaged():
    registry = build_registry([TINY])
    assert "unpackaged file tiny_plugin.py" in str(registry.harmonizers.origin("center"))


def test_a_loose_file_that_is_missing_or_broken_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        build_registry([tmp_path / "absent.py"])
    bad = tmp_path / "bad_loose_file.py"
    bad.write_text("x = 1\n1/0")
    with pytest.raises(
        PluginError, match=r"bad_loose_file\.py cannot be imported: ZeroDivisionError: .*\(bad_loose_file\.py, line 2\)"
    ):
        build_registry([bad])
    bad.write_text("x = (")
    with pytest.raises(PluginError, match=r"SyntaxError: .*\(bad_loose_file\.py, line 1\)$"):
        build_registry([bad])


def test_registering_the_built_ins_imports_nothing_heavy():
    code = (
        "import sys; from harmbench.plugins import build_registry; build_registry();"
        "print([m for m in ('torch', 'pandas', 'sklearn', 'radiomics', 'scipy', 'SimpleITK', 'xgboost', 'numpy')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_built_ins_are_found_from_the_source_tree_without_being_installed(tmp_path):
    root = Path(plugins.__file__).parents[1]
    if not (root / "plugins" / "harmbench_builtin").is_dir():
        pytest.skip("harmbench is installed as a package here, there is no source tree")
    code = (
        f"import sys; sys.path = [p for p in sys.path if 'plugins' not in p]; sys.path.insert(0, {str(root)!r});"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in str(f).lower()];"
        "from harmbench.plugins import build_registry; print(build_registry().harmonizers.get('combat').name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "combat", done.stderr
