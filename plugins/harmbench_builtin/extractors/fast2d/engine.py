"""The compiled engine's Python face: plans of masks, features of maps, features of filtered images.

A `Plan` holds what depends on the mask alone; all maps over that mask share it. The interpreter lock is released while
features are computed, and a map is computed by one thread from first to last, so results do not depend on `threads`.

The instruction set is the best that the machine has; the environment variable `HARMBENCH_ISA` (baseline, avx2, avx512)
sets it for tests and benchmarks. All sets give the same bits.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.data import Bools, Floats
from harmbench.errors import DataError, UsageError
from harmbench_builtin.extractors.fast2d.names import NAMES
from harmbench_builtin.extractors.fast2d.settings import MAX_DISTANCE, Settings
from harmbench_builtin.harmonizers.filter_bank.filter import padding

_engine: ModuleType | None
try:
    _engine = import_module("harmbench_builtin.extractors.fast2d._engine")
except ModuleNotFoundError:
    _engine, _reason = None, "it was not compiled when harmbench was installed, for want of GCC or Clang"
except ImportError as error:
    _engine, _reason = None, str(error)
else:
    _reason = ""

_SETS = ("baseline", "avx2", "avx512")
_SLACK = 64

_workspaces: queue.SimpleQueue[Any] = queue.SimpleQueue()


def available() -> tuple[bool, str]:
    """Whether the compiled engine can be used, and if not, why."""
    return _engine is not None, _reason


def instruction_set() -> str:
    """The instruction set in use: "baseline" (x86-64, or the NEON of arm64), "avx2" or "avx512".

    Raises
    ------
    UsageError
        The engine is missing, or `HARMBENCH_ISA` names a set that this machine does not have.
    """
    present = _compiled().instruction_sets()
    wanted = os.environ.get("HARMBENCH_ISA", "")
    if not wanted:
        return str(present[-1])
    if wanted not in present:
        raise UsageError(f"HARMBENCH_ISA={wanted}: this machine has {', '.join(present)}.")
    return wanted


class Plan:
    """What depends on a mask alone. Not for pickling; make it anew, which takes less time than one map.

    Parameters
    ----------
    mask : bool (H, W)
        Any form: holes, parts, one pixel, touching the border.
    spacing : (float, float), default (1.0, 1.0)
        mm per row and per column.

    Attributes
    ----------
    pixels : int
        In the mask.

    Raises
    ------
    DataError
        The mask is empty.
    """

    def __init__(self, mask: Bools, spacing: tuple[float, float] = (1.0, 1.0)) -> None:
        # A bool array made from foreign memory (a 1-bit PNG) may hold 255 for true; the engine adds these bytes up.
        inside = np.ascontiguousarray(mask, dtype=bool).view(np.uint8) != 0
        if inside.ndim != 2:
            raise ValueError(f"a mask of shape {inside.shape}; it must be (H, W)")
        row_mm, column_mm = (float(step) for step in spacing)
        self.shape: tuple[int, int] = (inside.shape[0], inside.shape[1])
        self.capsule, self.pixels = _compiled().plan(inside, *self.shape, row_mm, column_mm)
        if not self.pixels:
            raise DataError("the mask is empty.", remedy="Draw it, or leave the sample out.")


def shape2d(plan: Plan) -> Floats:
    """The 9 features of a mask (9,), in the order of `names.SHAPE_NAMES`; mm where the plan's spacing is."""
    out = np.empty(9)
    _compiled().shape(plan.capsule, out)
    return out


def extract(maps: npt.ArrayLike, plan: Plan, settings: Settings) -> Floats:
    """The 93 features of each of K maps.

    Parameters
    ----------
    maps : float64 (K, H, W)
        Pixels outside the mask are not read.
    plan : Plan
        Of a mask (H, W).
    settings : Settings
        `distance` may also be a sequence, PyRadiomics' `distances`.

    Returns
    -------
    float64 (K, 93)
        In the order of `names.NAMES`. A row of NaN where the map has no grey levels: a value inside the mask is not
        finite, the bin width makes more than 65 535 levels, or edges of bins coincide. NaN also for what the mask does
        not define, such as GLCM of one pixel.
    """
    planes = np.ascontiguousarray(maps, dtype=np.float64)
    if planes.ndim != 3 or planes.shape[1:] != plan.shape:
        raise ValueError(f"maps of shape {planes.shape} and a mask {plan.shape}; maps must be (K, H, W)")
    out = np.empty((len(planes), len(NAMES)))
    arguments = (_rank(), _settings(settings), out, planes, len(planes))
    _with_workspace(lambda work: _compiled().extract(work, plan.capsule, *arguments))
    return out


def extract_filtered(
    image: npt.ArrayLike, kernels: npt.ArrayLike, bias: npt.ArrayLike | None, plan: Plan, settings: Settings
) -> Floats:
    """The 93 features of an image correlated with each of K kernels; the filtered maps are never stored.

    As `extract` of `filter_bank.filter.filter_bank`: stride 1, the border mirrored, an even kernel padded by one pixel
    fewer before than after. Sums are float64, tap after tap.

    Parameters
    ----------
    image : float64 (H, W)
        Pixels outside the mask are read where a kernel reaches them.
    kernels : float64 (K, h, w)
    bias : float64 (K,), or None for zeros
    plan : Plan
        Of a mask (H, W).
    settings : Settings

    Returns
    -------
    float64 (K, 93)
        As `extract`.

    Raises
    ------
    DataError
        When the image is too small to be mirrored.
    """
    pixels, bank = np.asarray(image, dtype=np.float64), np.ascontiguousarray(kernels, dtype=np.float64)
    if pixels.shape != plan.shape or bank.ndim != 3:
        raise ValueError(f"an image {pixels.shape}, kernels {bank.shape} and a mask {plan.shape} do not fit together")
    count, h, w = bank.shape
    added = np.zeros(count) if bias is None else np.ascontiguousarray(bias, dtype=np.float64)
    if added.shape != (count,):
        raise ValueError(f"a bias of shape {added.shape} for {count} kernels")
    if pixels.shape[0] < h or pixels.shape[1] < w:
        raise DataError(
            f"the image has {pixels.shape[0]} x {pixels.shape[1]} pixels, fewer than the filter's {h} x {w}.",
            remedy="Leave the image out, or resample it to a finer grid.",
        )
    out = np.empty((count, len(NAMES)))
    padded, row = _mirrored(pixels, h, w), pixels.shape[1] + w - 1
    arguments = (_rank(), _settings(settings), out, padded, row, bank, count, h, w, added)
    _with_workspace(lambda work: _compiled().extract_filtered(work, plan.capsule, *arguments))
    return out


def _mirrored(pixels: Floats, h: int, w: int) -> Floats:
    """`np.pad(..., mode="reflect")` for a kernel (h, w), flat, with room to read beyond the end; many times faster."""
    (rows, columns), (top, _), (left, _) = pixels.shape, padding(h), padding(w)
    flat = np.zeros((rows + h - 1) * (columns + w - 1) + _SLACK)
    padded = flat[:-_SLACK].reshape(rows + h - 1, columns + w - 1)
    middle = padded[top : top + rows]
    middle[:, left : left + columns] = pixels
    for j in (*range(-left, 0), *range(columns, columns + w - 1 - left)):
        middle[:, left + j] = pixels[:, -j if j < 0 else 2 * (columns - 1) - j]
    for i in (*range(-top, 0), *range(rows, rows + h - 1 - top)):
        padded[top + i] = middle[-i if i < 0 else 2 * (rows - 1) - i]
    return flat


def extract_many(
    maps: Sequence[npt.ArrayLike], plans: Sequence[Plan], settings: Settings, threads: int = 1
) -> list[Floats]:
    """`extract` of many images, each (K, H, W) with its plan; threads share the images."""
    return _spread(threads, lambda pair: extract(pair[0], pair[1], settings), list(zip(maps, plans, strict=True)))


def extract_filtered_many(
    images: Sequence[npt.ArrayLike],
    kernels: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    plans: Sequence[Plan],
    settings: Settings,
    threads: int = 1,
) -> list[Floats]:
    """`extract_filtered` of many images, each (H, W) with its plan, by one bank; threads share the images."""
    pairs = list(zip(images, plans, strict=True))
    return _spread(threads, lambda pair: extract_filtered(pair[0], kernels, bias, pair[1], settings), pairs)


def _spread(threads: int, one: Callable[[Any], Floats], items: list[Any]) -> list[Floats]:
    if threads <= 1 or len(items) < 2:
        return [one(item) for item in items]
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        return list(pool.map(one, items))


def _with_workspace(call: Callable[[Any], None]) -> None:
    """Tables and buffers are kept between calls, one set for each thread that computes at the same time."""
    try:
        work = _workspaces.get_nowait()
    except queue.Empty:
        work = _compiled().workspace()
    try:
        call(work)
    finally:
        _workspaces.put(work)


def _rank() -> int:
    return _SETS.index(instruction_set())


def _settings(settings: Settings) -> tuple[int, float, bool, npt.NDArray[np.int32]]:
    distances = np.array(sorted({*np.atleast_1d(settings.distance).tolist()}), dtype=np.int32)
    if not distances.size or distances[0] < 1 or distances[-1] > MAX_DISTANCE:
        raise UsageError(f"distance={settings.distance!r}: distances are whole numbers from 1 to {MAX_DISTANCE}.")
    bins = 0 if settings.bin_width > 0 else settings.bin_count
    return bins, settings.bin_width, settings.symmetrical_glcm, distances


def _compiled() -> ModuleType:
    if _engine is None:
        raise UsageError(f"fast2d: the compiled engine is not available ({_reason}).")
    return _engine
