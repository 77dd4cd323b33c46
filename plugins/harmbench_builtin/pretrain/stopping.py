"""How a training ends before its last step."""

from __future__ import annotations

import signal
import threading
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
