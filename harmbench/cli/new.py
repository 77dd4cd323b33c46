"""`harmbench new`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from harmbench.cli.common import Json, show_json

WORDS = ("harmonizer", "extractor", "evaluator", "dataset")


def new(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(WORDS)}.")],
    name: Annotated[str, typer.Argument(help="The component's name, such as my-method.")],
    folder: Annotated[str, typer.Option("--dir", help="Where the package's folder is made.")] = ".",
    stage: Annotated[str, typer.Option("--stage", help="Of a harmonizer: feature or image.")] = "feature",
    licence: Annotated[str, typer.Option("--licence", help="MIT, BSD-3-Clause, Apache-2.0 or none.")] = "MIT",
    author: Annotated[str, typer.Option("--author", help="For the licence and pyproject.toml.")] = "",
    json: Json = False,
) -> int:
    """Write an installable plugin package that passes `harmbench check` as it stands."""
    from harmbench.errors import UsageError, suggestion
    from harmbench.plugins import build_registry
    from harmbench.scaffold.write import LICENCES, check_name, write_package

    if kind not in WORDS:
        raise UsageError(f"There is nothing called '{kind}' to make.{suggestion(kind, WORDS)}")
    if stage not in ("feature", "image"):
        raise UsageError(f"--stage {stage}: a harmonizer works on a feature table or on an image.")
    if licence not in LICENCES:
        raise UsageError(f"--licence {licence} has no text here.{suggestion(licence, LICENCES)}")
    check_name(name, (n for c in build_registry().catalogues.values() for n in c.entries))
    root = write_package(
        stage if kind == "harmonizer" else kind, name, Path(folder), licence, author or f"The {name} authors"
    )
    steps = [
        f"cd {shlex.quote(str(root))}",
        "pip install -e '.[test]'",
        f"harmbench check {name}",
        "python -m pytest",
    ]
    if json:
        files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
        show_json({"folder": str(root), "files": files, "next": steps})
        return 0
    print(f"{root} is written. Next:\n")
    for step in steps:
        print(f"    {step}")
    print(f"\nBefore it is installed: harmbench check {shlex.quote(str(root))}")
    return 0
