"""Watching a training: the log, the figures of the stem, and the signals that end it."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from harmbench.errors import DataError
from harmbench_builtin.pretrain.export import write_whole


def stem_facts(weight: Tensor, start: Tensor) -> dict[str, float]:
    """How far the stem has come from its random start, and how much its kernels differ from one another.

    Parameters
    ----------
    weight, start : (K, C, h, w)

    Returns
    -------
    dict
        `stem_cosine`: cosine between all weights now and at the start (1: same direction); `stem_relative_change`:
        norm of the difference over the norm at the start; `kernel_diversity`: mean over pairs of kernels of
        1 - |cosine| (0: all the same up to sign; about 0.8 for random kernels of 16 weights).
    """
    now, then = (t.detach().double().cpu().flatten(1) for t in (weight, start))
    unit = torch.nn.functional.normalize(now, dim=1)
    count = len(unit)
    pairs = count * (count - 1)
    likeness = ((unit @ unit.T).abs().sum() - count) / max(1, pairs)
    return {
        "stem_cosine": torch.nn.functional.cosine_similarity(now.flatten(), then.flatten(), dim=0).item(),
        "stem_relative_change": ((now - then).norm() / then.norm()).item(),
        "kernel_diversity": 1.0 - likeness.item() if pairs else 0.0,
    }


class Log:
    """A file of JSON records, one per line.

    Parameters
    ----------
    path : Path
    keep_until : int
        Records of later steps are dropped: a resumed training writes them again. So is a half-written last line.
    """

    def __init__(self, path: Path, keep_until: int) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = []
        for line in path.read_text().splitlines() if keep_until and path.exists() else []:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["step"] <= keep_until:
                kept.append(line + "\n")
        write_whole(path, "".join(kept).encode())

    def write(self, record: dict[str, Any]) -> None:
        line = json.dumps({key: _short(value) for key, value in record.items()})
        try:
            with self.path.open("a") as file:
                file.write(line + "\n")
        except OSError as error:
            raise DataError(
                f"the training log could not be written ({error}).",
                file=self.path,
                remedy="Free some space, then run again: training goes on from the last checkpoint.",
            ) from error


def _short(value: Any) -> Any:
    """Six digits are enough for a log; NaN is not JSON."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if value - value == 0 else None
    return value


class StopSignals:
    """Turns the first Ctrl-C or SIGTERM into a flag; a second one acts at once, as usual.

    Signals can only be caught in the main thread; elsewhere the flag stays False.
    """

    def __init__(self) -> None:
        self.received = False
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._earlier[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
