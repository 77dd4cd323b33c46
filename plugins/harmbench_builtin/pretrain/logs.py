"""Where the figures of a training go: a file of JSON records always, TensorBoard where wanted."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from harmbench.errors import DataError, UsageError
from harmbench_builtin.pretrain.export import write_whole


class Log:
    """A file of JSON records, one per line.

    Parameters
    ----------
    path : Path
    keep_until : int
        Records of later steps are dropped: a resumed training writes them again. So is a half-written last line.
    tensorboard : Path, optional
        Folder for the same numbers in TensorBoard's format.

    Raises
    ------
    UsageError
        When TensorBoard is wanted but not installed.
    """

    def __init__(self, path: Path, keep_until: int, tensorboard: Path | None = None) -> None:
        self.path = path
        self._folder = tensorboard
        self._writer: Any = None
        self.rewind(keep_until)

    def rewind(self, keep_until: int) -> None:
        """Drop the records of later steps."""
        kept = []
        for line in self.path.read_text().splitlines() if keep_until and self.path.exists() else []:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["step"] <= keep_until:
                kept.append(line + "\n")
        write_whole(self.path, "".join(kept).encode())
        if self._folder is not None:
            self.close()
            self._writer = _tensorboard(self._folder, keep_until)

    def write(self, record: dict[str, Any]) -> None:
        """Append a record."""
        line = json.dumps({key: _short(value) for key, value in record.items()})
        try:
            with self.path.open("a") as file:
                file.write(line + "\n")
            if self._writer is not None:
                for name, value in record.items():
                    if name != "step":
                        self._writer.add_scalar(f"pretrain/{name}", value, record["step"])
                self._writer.flush()
        except OSError as error:
            raise DataError(
                f"the training log could not be written ({error}).",
                file=self.path,
                remedy="Free some space, then run again: training goes on from the last checkpoint.",
            ) from error

    def close(self) -> None:
        """Write out what TensorBoard still holds back."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def require_tensorboard() -> None:
    """UsageError when TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError(
            "TensorBoard is not installed. Install it with: pip install 'harmbench[tensorboard]', or leave it out: "
            "the log is in log.jsonl anyway."
        )


def _tensorboard(folder: Path, step: int) -> Any:
    require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1)


def _short(value: Any) -> Any:
    """Six digits are enough for a log; NaN is not JSON."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if value - value == 0 else None
    return value
