"""What can only be seen from outside: a fresh Python process registers, imports and runs a component, and reports.

`python -m harmbench.testing.probe` reads a request (JSON) on standard input and prints a report as its last line.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from harmbench.testing.model import CheckFailed

if TYPE_CHECKING:
    from harmbench.testing.subjects import Subject

TIMEOUT = 300
MARK = "harmbench-probe:"


@dataclass(frozen=True)
class Report:
    """What a probe saw.

    Parameters
    ----------
    texts : tuple of str
        What it gave in words: names, digests.
    values : tuple of float
        What it gave in figures.
    error : str
        What it raised, "" when nothing.
    blocked : tuple of str
        Modules that its own code wanted although nothing declares them.
    gpu : bool
        Whether a CUDA context was made.
    """

    texts: tuple[str, ...]
    values: tuple[float, ...]
    error: str
    blocked: tuple[str, ...]
    gpu: bool


def _ask(request: Mapping[str, Any], hash_seed: str = "random") -> dict[str, Any]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "PYTHONHASHSEED": hash_seed,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harmbench.testing.probe"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            env=environment,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"a fresh process did not end within {TIMEOUT} s") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if not lines:
        tail = " ".join(done.stderr.strip().splitlines()[-1:])
        raise CheckFailed(f"a fresh process ended with code {done.returncode} and no report: {tail}")
    report: dict[str, Any] = json.loads(lines[-1][len(MARK) :])
    return report


@functools.cache
def registered_modules(plugin: str, files: tuple[str, ...]) -> tuple[str, ...]:
    """The third-party modules that are loaded by importing a plugin's module and asking it for its specs.

    Only compiled packages and those known to be large are named.
    """
    return tuple(_ask({"do": "register", "plugin": plugin, "files": list(files)})["heavy"])


def run_elsewhere(subject: Subject) -> Report:
    """Build and run a component in a fresh process in which only what is declared can be imported."""
    return _run_elsewhere(
        json.dumps(
            {
                "do": "run",
                "kind": subject.kind,
                "spec": _plain({f.name: getattr(subject.spec, f.name) for f in fields(subject.spec)}),
                "params": _plain(dict(subject.params)),
                "files": list(subject.files),
                "data": subject.data,
                "distribution": _distribution(subject),
            },
            sort_keys=True,
        )
    )


@functools.lru_cache(maxsize=8)
def _run_elsewhere(request: str) -> Report:
    answer = _ask(json.loads(request))
    return Report(
        tuple(answer["texts"]), tuple(answer["values"]), answer["error"], tuple(answer["blocked"]), answer["gpu"]
    )


def _distribution(subject: Subject) -> str:
    if subject.origin is None or subject.origin.distribution.startswith("unpackaged"):
        return ""
    return subject.origin.distribution.removesuffix(" (source folder)")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


def _main() -> None:
    request = json.loads(sys.stdin.read())
    from harmbench.testing import probe_child

    answer = {"register": probe_child.register, "run": probe_child.run}[request["do"]](request)
    sys.stdout.flush()
    print(f"\n{MARK}{json.dumps(answer)}")


if __name__ == "__main__":
    _main()
