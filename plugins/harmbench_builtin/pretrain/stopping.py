"""How a training ends before its last step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from harmbench.errors import HarmbenchError


class PretrainingStopped(HarmbenchError):
    """Stopped by Ctrl-C or SIGTERM after a checkpoint was written; running again goes on from there.

    Parameters
    ----------
    message : str
    asked_to_end : bool
        By SIGTERM, as a scheduler sends it; False: by Ctrl-C.
    """

    def __init__(self, message: str, asked_to_end: bool) -> None:
        super().__init__(message)
        self.asked_to_end = asked_to_end
        self.exit_code = 0 if asked_to_end else 130


class TrainingDiverged(HarmbenchError):
    """Loss or gradient stayed non-finite after all roll-backs."""

    exit_code = 4


class _Ended(KeyboardInterrupt):
    """SIGTERM, where no step is running: taken like Ctrl-C, which leaves no worker processes behind."""


@contextmanager
def ended_in_order(wanted: bool = True) -> Iterator[None]:
    """SIGTERM outside the loop (images are read, kernels written) ends the program with a word and exit code 143.

    By default it kills this process only, and the workers that read images would stay for good.

    Parameters
    ----------
    wanted : bool
        False, and outside the main thread: nothing is done.
    """
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise _Ended

    earlier = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except _Ended:
        stopped = PretrainingStopped(
            "Ended by SIGTERM outside the training's steps; checkpoints, where there are any, are whole. "
            "Run the same command again to go on.",
            asked_to_end=True,
        )
        stopped.exit_code = 128 + signal.SIGTERM
        raise stopped from None
    finally:
        signal.signal(signal.SIGTERM, earlier)


class StopSignals:
    """Turns the first Ctrl-C or SIGTERM into a flag; a second one acts at once, as usual.

    Signals can only be caught in the main thread; elsewhere the flag stays False.
    """

    def __init__(self) -> None:
        self.number = 0
        self._earlier: dict[int, Any] = {}

    @property
    def received(self) -> bool:
        return self.number != 0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._earlier[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
