"""What a run ran on: versions, hardware, plugins. No user name, no host name, no absolute path."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harmbench import __version__
from harmbench.plugins import Registry


def now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def _git() -> dict[str, Any]:
    """Commit of the source tree that harmbench runs from, if it is one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {}

    def ask(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return {}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


_NAME = r"[^\s/\\'\"<>|,;\[\]()=]"
_PATH = re.compile(rf"(?<![\w.~/\\-])(?:~|[A-Za-z]:)?[/\\](?:{_NAME}+[/\\])+({_NAME}*)")


def without_paths(text: str) -> str:
    """The text with every absolute path cut down to its last part."""
    return _PATH.sub(r"\1", text)


_LEADS_TO = re.compile(r"((?:-[A-Za-z]|--?[\w-]+=)?)((?:~|[A-Za-z]:)?[/\\].*|~[\w.-]*[/\\].*)", re.DOTALL)
_ALIKE = re.compile(r"[^=,\[\]+]+")


def word_without_path(word: str) -> str:
    """A word of a command line whose path, if it is one, is cut down to its last part: alone, or after its option."""
    found = _LEADS_TO.fullmatch(word)
    if found:
        return found.group(1) + last_part(found.group(2))
    return without_paths(_ALIKE.sub(lambda part: _file_in(part.group()), word))


def last_part(path: str) -> str:
    """The bare name of a file or folder."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _file_in(text: str) -> str:
    """A relative path inside a word (`kernels=../mine/k.safetensors`) without its folders; other slashes stay."""
    path = text.startswith(("./", "../", ".\\", "..\\")) or ("/" in text and Path(text).exists())
    return last_part(text) if path else text


def environment(registry: Registry, arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Facts for `environment.json`."""
    facts: dict[str, Any] = {
        "harmbench": __version__,
        "git": _git(),
        "python": sys.version.split()[0],
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "threads": {k: v for k, v in os.environ.items() if k.endswith("_NUM_THREADS")},
        "command": [word_without_path(word) for word in arguments],
        "plugins": [{"name": o.plugin, "distribution": o.distribution, "version": o.version} for o in registry.origins],
        "plugin_failures": [without_paths(str(f)) for f in registry.failures],
        "distributions": {
            d.name: d.version for d in sorted(importlib.metadata.distributions(), key=lambda d: str(d.name).lower())
        },
        "started": now(),
    }
    for origin, given in registry.manager.call("provenance_facts"):
        facts.setdefault("facts", {})[origin.plugin] = dict(given)
    return facts
