"""`harmbench check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harmbench.cli.common import Json, Plugins, note, show_json

if TYPE_CHECKING:
    from harmbench.testing.model import Result
    from harmbench.testing.subjects import Subject

FAILED, NOTHING = 2, 3


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Components (such as combat, combat[eb=false]), plugin files, or source folders."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Check everything that is registered.")] = False,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="harmonizer, extractor, evaluator or dataset (repeatable).")
    ] = None,
    only: Annotated[str, typer.Option("--only", help="Check ids with commas between them, such as H08,H11.")] = "",
    expected: Annotated[
        str, typer.Option("--expected-failures", help='TOML file: a table per component, lines such as H05 = "reason".')
    ] = "",
    data: Annotated[str, typer.Option("--data", "-d", help="What a data set needs: its manifest or folder.")] = "",
    explain: Annotated[str, typer.Option("--explain", help="Say what a check asks and how to mend a failure.")] = "",
    plugin: Plugins = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    json: Json = False,
) -> int:
    """Run the conformance kit on plugins and print what passed.

    Exit code 0: all is well; 2: a check failed, or one that was expected to fail passed; 3: no check could be run.
    """
    from harmbench.errors import UsageError, suggestion
    from harmbench.testing import report
    from harmbench.testing.kit import run_checks

    if explain:
        return _explain(explain, json)
    if every and names:
        raise UsageError("Give names, or --all, not both.")
    if not every and not names and not plugin:
        raise UsageError("Name what to check: a component (harmbench list), a plugin file, a source folder, or --all.")
    subjects = _subjects(names or [], plugin or [], kind or [], data or None)
    wanted = [part.strip() for part in only.split(",") if part.strip()]
    _known(wanted)
    declared = _expected(expected) if expected else {}
    unknown = sorted(set(declared) - {s.name for s in subjects} - {s.spec.name for s in subjects})
    if unknown:
        raise UsageError(
            f"{expected}: '{unknown[0]}' is none of the components checked."
            f"{suggestion(unknown[0], [s.spec.name for s in subjects])}"
        )
    results: list[Result] = []
    for subject in subjects:
        given = declared.get(subject.name, declared.get(subject.spec.name, {}))
        own = list(run_checks(subject, given, wanted))
        if not (json or markdown):
            print(report.as_text(own))
        results += own
    if json:
        show_json({**report.as_json(results), "exit_code": _code(results)})
    elif markdown:
        print(report.as_markdown(results))
    elif len(subjects) > 1:
        print(f"{len(subjects)} components: {report.counts(results)}")
    bad = [r for r in results if r.bad]
    if bad and not json:
        note(f"harmbench: what {bad[0].check} asks and how to mend it: harmbench check --explain {bad[0].check}")
    return _code(results)


def _code(results: list[Result]) -> int:
    if any(r.bad for r in results):
        return FAILED
    return 0 if any(r.status != "not applicable" for r in results) else NOTHING


def _subjects(names: list[str], plugins: list[str], kinds: list[str], data: str | None) -> list[Subject]:
    """Components by name, and all that given files and folders register."""
    from harmbench.errors import UsageError, suggestion
    from harmbench.plugins import build_registry
    from harmbench.testing.subjects import KINDS, find_subjects

    for kind in kinds:
        if kind not in KINDS.values():
            raise UsageError(f"--kind {kind}: there is no such kind.{suggestion(kind, KINDS.values())}")
    paths = [
        n for n in names if "[" not in n and (Path(n).suffix == ".py" or "/" in n or "\\" in n or Path(n).is_dir())
    ]
    targets = [n for n in names if n not in paths]
    found = find_subjects(targets, [*plugins, *paths], kinds, data) if targets else []
    if paths or not targets:
        given = [*plugins, *paths] if paths or plugins else []
        own = find_subjects((), given, kinds, data)
        if not own:
            broken = "".join(f" ({failure}.)" for failure in build_registry(given).failures)
            raise UsageError(f"{', '.join(given) or 'harmbench'} registers nothing to check.{broken}")
        found += own
    return found


def _expected(file: str) -> dict[str, dict[str, str]]:
    """Component to {check id: reason}, from a TOML file."""
    import tomllib

    from harmbench.errors import UsageError

    try:
        read = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"--expected-failures {file}: there is no such file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--expected-failures {file}: not valid TOML: {error}.") from None
    for name, checks in read.items():
        if not isinstance(checks, dict) or not all(isinstance(reason, str) and reason for reason in checks.values()):
            raise UsageError(f'{file}: [{name}] must hold lines such as H05 = "the reason".')
        _known(list(checks))
    return read


def _known(ids: list[str]) -> None:
    from harmbench.errors import UsageError, suggestion
    from harmbench.testing.kit import ALL

    known = {check.id for checks in ALL.values() for check in checks}
    for id_ in ids:
        if id_ not in known:
            raise UsageError(f"There is no check '{id_}'.{suggestion(id_, known)}")


def _explain(id_: str, json: bool) -> int:
    from harmbench.testing.kit import ALL

    _known([id_])
    found = {kind: c for kind, checks in ALL.items() for c in checks if c.id == id_}
    if json:
        show_json({kind: {"id": c.id, "title": c.title, "help": c.help} for kind, c in found.items()})
        return 0
    for kind, c in found.items():
        print(f"{c.id} ({kind}): {c.title}\n\n{c.help}\n")
    return 0
