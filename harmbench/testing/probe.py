"""What can only be seen from outside: a fresh Python process registers, imports and runs a component, and reports.

`python -m harmbench.testing.probe` reads a request (JSON) on standard input and prints a report as its last line.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import subprocess
import sys
import threading
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


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "PYTHONHASHSEED": "random",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def _ask(request: Mapping[str, Any]) -> dict[str, Any]:
    """Start a process for one request."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harmbench.testing.probe"],
            input=json.dumps(request) + "\n",
            capture_output=True,
            text=True,
            env=_environment(),
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


class _Server:
    """A process that has imported the kit and nothing of any plugin, and forks a child for every request.

    A child is as fresh as a new process, and starts in a fraction of the time.
    """

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harmbench.testing.probe", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        atexit.register(self.close)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """End the process; it also ends by itself when its standard input does."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its report."""
        assert self.process.stdin is not None and self.process.stdout is not None
        timer = threading.Timer(TIMEOUT, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                if line.startswith(MARK):
                    report: dict[str, Any] = json.loads(line[len(MARK) :])
                    if "ended" in report:
                        raise CheckFailed(f"a fresh process ended with status {report['ended']} and no report")
                    return report
        finally:
            timer.cancel()
        raise CheckFailed(f"a fresh process gave no report within {TIMEOUT} s")


_servers: list[_Server] = []


def _ask_fresh(request: Mapping[str, Any]) -> dict[str, Any]:
    """Have a request answered by a process that knows no plugin yet."""
    if not hasattr(os, "fork"):
        return _ask(request)
    if not _servers or not _servers[-1].alive:
        _servers.append(_Server())
    return _servers[-1].ask(request)


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
    answer = _ask_fresh(json.loads(request))
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


def _answer(line: str) -> None:
    request = json.loads(line)
    from harmbench.testing import probe_child

    answer = {"register": probe_child.register, "run": probe_child.run}[request["do"]](request)
    sys.stdout.flush()
    print(f"\n{MARK}{json.dumps(answer)}", flush=True)


def _serve() -> None:
    import harmbench.testing.exercise
    import harmbench.testing.imports  # noqa: F401  # both stand ready in every child

    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = 1
            try:
                sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115  # the requests are for the parent
                _answer(line)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if status:
            print(f"\n{MARK}{json.dumps({'ended': status})}", flush=True)


if __name__ == "__main__":
    if "--serve" in sys.argv:
        _serve()
    else:
        _answer(sys.stdin.readline())
