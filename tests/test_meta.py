"""The docs keep up with the code: every hook, verb, method, benchmark and column is written down."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from harmbench import hookspecs
from harmbench.benchmark_files import benchmark_files
from harmbench.plugins import build_registry

ROOT = Path(__file__).resolve().parents[1]
DOCS = {p.name: p.read_text(encoding="utf-8") for p in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]}
HOOKS = [name for name, f in vars(hookspecs).items() if inspect.isfunction(f) and f.__module__ == hookspecs.__name__]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_exact_arguments(hook):
    arguments = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters)
    assert f"`{hook}({arguments})`" in DOCS["plugins.md"]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test(hook):
    sources = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests").rglob("*.py") if p.name != "test_meta.py")
    assert f"def {hook}" in sources


@pytest.mark.parametrize(
    "verb",
    [
        "run",
        "list",
        "info",
        "check",
        "new",
        "doctor",
        "data",
        "pretrain",
        "kernels",
        "leaderboard",
        "compare",
        "interpret",
        "submit",
        "cache",
    ],
)
def test_every_verb_is_in_the_docs(verb):
    assert any(f"harmbench {verb}" in text for text in DOCS.values())


@pytest.mark.parametrize("name", sorted(build_registry().harmonizers.entries))
def test_every_method_is_in_the_docs_and_has_its_facts(name):
    assert f"| `{name}`" in DOCS["methods.md"]
    spec = build_registry().harmonizers.get(name)
    assert spec.summary and not spec.summary.endswith(".")


@pytest.mark.parametrize("name", sorted(benchmark_files()))
def test_every_benchmark_is_in_the_docs(name):
    assert f"| `{name}` |" in DOCS["benchmarks.md"]


def test_every_manifest_column_is_in_the_docs():
    from harmbench_builtin.datasets.manifest import OPTIONAL, REQUIRED

    assert all(f"`{column}`" in DOCS["own-data.md"] for column in (*REQUIRED, *OPTIONAL))


def test_links_between_pages_lead_somewhere():
    for page, text in DOCS.items():
        folder = ROOT if page == "README.md" else ROOT / "docs"
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            if "://" not in target:
                assert (folder / target).exists(), f"{page}: {target}"


def test_the_plugin_in_the_docs_works_as_it_stands(tmp_path, tiny_benchmark):
    from harmbench.cli import run_command

    for page in ("plugins.md", "README.md"):
        code = re.search(r"```python\n(# \w+\.py\n.*?)```", DOCS[page], flags=re.S)
        assert code, page
        path = tmp_path / f"doc_plugin_{page.partition('.')[0].lower()}.py"
        path.write_text(code[1])
        tiny = str(ROOT / "tests" / "tiny_plugin.py")
        name = re.search(r'name="([\w-]+)"', code[1])[1]
        out = str(tmp_path / page)
        arguments = ["run", "-b", str(tiny_benchmark), "--plugin", tiny, "--plugin", str(path), "-m", name]
        assert run_command([*arguments, "-m", f"lazy+{name}", "-o", out, "-j", "1"]) == 0
