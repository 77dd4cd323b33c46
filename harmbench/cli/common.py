"""What the verbs share: options, progress, output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from harmbench.errors import UsageError
from harmbench.progress import ProgressFunction, no_progress

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of text.")]
Plugins = Annotated[list[str] | None, typer.Option("--plugin", help="A loose plugin file.py to load (repeatable).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Jobs = Annotated[int, typer.Option("-j", "--jobs", min=0, help="Worker processes; 0: one per core.")]


def show_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=1, sort_keys=True, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    from collections.abc import Mapping

    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return str(value)


def folder(out: str) -> Path:
    """What `--out` names.

    Raises
    ------
    UsageError
        It is empty, as an unset variable of a shell leaves it; that would be the current folder.
    """
    if not out.strip():
        raise UsageError("--out is empty. Name a folder; for the current one say --out .")
    return Path(out)


def options_given(context: typer.Context, paths: Sequence[str]) -> list[str]:
    """The options of this call as they were understood, for the record; those in `paths` by the bare name of the file.

    Not the words that were typed: `-d/abs/list.csv` and `--data=/abs/list.csv` are one thing, and neither is written.
    """
    from harmbench.run.provenance import last_part

    words: list[str] = []
    for option in context.command.params:
        name, value = option.name or "", context.params.get(option.name or "")
        if value is None or value == option.get_default(context) or option.param_type_name != "option":
            continue
        if isinstance(value, bool):
            words.append(option.opts[0] if value or not option.secondary_opts else option.secondary_opts[0])
            continue
        spelled = max(option.opts, key=len)
        for one in value if isinstance(value, list | tuple) else [value]:
            words += [spelled, last_part(str(one)) if name in paths else str(one)]
    return words


def note(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr)


@contextmanager
def progress(quiet: bool) -> Iterator[ProgressFunction]:
    """Bars with stage, count and time left on stderr; nothing when it is not a terminal or quiet."""
    if quiet or not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    # The stream is bound now: a cell that runs in this process redirects sys.stderr into its own log.
    console = Console(file=sys.stderr)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=False) as bars:
        tasks: dict[str, Any] = {}
        last: dict[str, float] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            moment = time.monotonic()
            if done == total or moment - last.get(stage, 0.0) > 0.05:
                bars.update(tasks[stage], completed=done, total=total)
                last[stage] = moment

        yield report
