"""The kernels that ship, by name: each is a file in `weights/`, with its card and its training log beside it."""

from __future__ import annotations

from pathlib import Path

from harmbench.errors import UsageError, suggestion

WEIGHTS = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"


def names() -> tuple[str, ...]:
    """The names that `kernels=` takes."""
    return tuple(sorted(path.stem for path in WEIGHTS.glob(f"*{SUFFIX}")))


def resolve(kernels: str) -> Path:
    """The file behind a shipped name or a path.

    Whatever ends in `.safetensors` or holds a folder separator is a path (and may not exist); anything else is a
    name, and UsageError says which there are when it is unknown.
    """
    if kernels.endswith(SUFFIX) or "/" in kernels or "\\" in kernels:
        return Path(kernels).expanduser()
    if kernels not in names():
        raise UsageError(
            f"No kernels named '{kernels}' ship with harmbench, and it is not a path to a {SUFFIX} file."
            f"{suggestion(kernels, names())}"
        )
    return WEIGHTS / f"{kernels}{SUFFIX}"
