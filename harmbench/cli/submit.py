"""`harmbench submit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harmbench.cli.common import Jobs, Json, Plugins, folder, note, show_json


def submit(
    run: Annotated[str, typer.Argument(help="The run folder.")],
    out: Annotated[str, typer.Option("--out", "-o", help="The bundle, a new folder.")],
    licence: Annotated[str, typer.Option("--licence", help="Under which the figures may be published, as SPDX id.")],
    contact: Annotated[str, typer.Option("--contact", help="Who answers questions; it will be public.")],
    jobs: Jobs = 0,
    plugin: Plugins = None,
    json: Json = False,
) -> int:
    """Make an anonymous, validated bundle of a run for leaderboard/results/<benchmark>/<run>/.

    Every figure is rebuilt first. CHECKLIST.md in the bundle says what a pull request needs.
    """
    from harmbench.leaderboard.bundle import make_bundle
    from harmbench.plugins import build_registry
    from harmbench.run.run import default_jobs

    done = make_bundle(
        Path(run), folder(out), licence=licence, contact=contact, registry=build_registry(plugin or ()),
        n_jobs=jobs or default_jobs(),
    )  # fmt: skip
    if json:
        show_json({"bundle": str(done.folder), "place": done.place, "bytes": done.size, "warnings": done.warnings})
        return 0
    for warning in done.warnings:
        note(f"harmbench: {warning}")
    note(f"{done.folder}: {done.size / 2**20:.1f} MB. Copy it to {done.place}/ and go through its CHECKLIST.md.")
    return 0
