"""Images one after the other, in memory, or in files when there are more than memory should hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.data import Bools
from harmbench.errors import DataError

Bytes = npt.NDArray[np.uint8]
FACTS = "images.json"
"""What the files of a folder hold; written last, so that its absence says that they are not whole."""


class StackFull(DataError):
    """The images cannot be written; no image is to blame."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(
            f"the images could not be written ({error}).",
            file=folder,
            remedy="Free some space or choose another --out.",
        )


class Stack:
    """Images as they are read, one after the other, in memory or in two files.

    Parameters
    ----------
    size : int
        Side of the images.
    folder : Path, optional
        Where the files go; None: memory.
    """

    def __init__(self, size: int, folder: Path | None) -> None:
        self._size, self._folder, self._count = size, folder, 0
        self._parts: tuple[list[Any], list[Any]] = ([], [])
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # What is here is of no use from now on, until the facts are written anew.
            (folder / FACTS).unlink(missing_ok=True)
            self._files = tuple((folder / f"{name}.bin").open("wb") for name in ("pixels", "sector"))
        except OSError as error:
            raise StackFull(folder, error) from error

    def add(self, pixels: Bytes, sector: Bools) -> None:
        """Append an image."""
        for number, part in enumerate((pixels, sector)):
            if self._folder is None:
                self._parts[number].append(part)
                continue
            try:
                # Written, not mapped: a full disk is an error here, and the end of the process there.
                self._files[number].write(np.ascontiguousarray(part).data)
            except OSError as error:
                raise StackFull(self._folder, error) from error
        self._count += 1

    def arrays(self) -> tuple[Bytes, Bools]:
        """The images (N, H, W); the files are mapped, not read."""
        if self._folder is None:
            return np.stack(self._parts[0]), np.stack(self._parts[1])
        self.close()
        shape = (self._count, self._size, self._size)
        return mapped(self._folder / "pixels.bin", np.uint8, shape), mapped(self._folder / "sector.bin", bool, shape)

    def close(self) -> None:
        """Close the files."""
        if self._folder is None:
            return
        try:
            for file in self._files:
                file.close()
        except OSError as error:
            raise StackFull(self._folder, error) from error

    def __len__(self) -> int:
        return self._count


def mapped(path: Path, kind: npt.DTypeLike, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """An array in a file, read as far as it is used."""
    return np.memmap(path, dtype=kind, mode="r", shape=shape)
