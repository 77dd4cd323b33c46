"""Where benchmark files are. Apart from reading them, because listing must stay light."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def benchmark_folders() -> list[Path]:
    """Where benchmark files are looked for: the source tree, else the installed package."""
    source = Path(__file__).resolve().parents[1] / "benchmarks"
    if any(source.glob("*.toml")):
        return [source]
    import sysconfig

    return [Path(sysconfig.get_path("data")) / "share" / "harmbench" / "benchmarks"]


def benchmark_files() -> Mapping[str, Path]:
    """Name to file of every benchmark that ships."""
    return {file.stem: file for folder in benchmark_folders() for file in sorted(folder.glob("*.toml"))}
