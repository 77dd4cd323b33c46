"""What the speed scripts share: two options, the clock, what is said of the machine, one way to print."""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

T = TypeVar("T")


def parser(description: str | None, quick: str) -> argparse.ArgumentParser:
    """The parser with `--quick` and `--json`, which every script takes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return made


def seconds(call: Callable[..., T], *arguments: object) -> tuple[float, T]:
    """Processor seconds of a call, and what it returned."""
    gc.collect()
    start = time.process_time()
    result = call(*arguments)
    return time.process_time() - start, result


def environment(distributions: Sequence[str], **more: object) -> dict[str, object]:
    """Machine, versions (None: not installed) and whatever else the figures depend on.

    `load` is the machine's load average over a minute: other programs slow the wall clock, and the caches, down.
    """
    return {
        "python": platform.python_version(),
        **{name: installed(name) for name in distributions},
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        **more,
    }


def installed(distribution: str) -> str | None:
    """The version, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def show(
    as_json: bool,
    figures: Mapping[str, object],
    spread: Mapping[str, Sequence[float]],
    about: Mapping[str, object],
    lines: Sequence[str],
) -> None:
    """One JSON object, or the lines for people."""
    if as_json:
        print(json.dumps({"figures": figures, "spread": spread, "environment": about}, indent=2))
    else:
        print("\n".join(lines))
