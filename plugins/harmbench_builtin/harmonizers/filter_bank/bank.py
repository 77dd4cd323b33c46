"""What all harmonizers that filter with a bank of kernels share: which maps are kept, and how they are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from harmbench.components import Context
from harmbench.data import FilterBank, FilteredImage, Floats, Image, ImageSet
from harmbench.errors import DataError, UsageError
from harmbench_builtin.harmonizers.filter_bank.filter import filter_bank

REDUCTIONS = ("concat", "l2", "mean", "select")
_STEPS = 2.0**32
Select = str | int | Sequence[int]


@dataclass(frozen=True)
class Choice:
    """Which of K maps a method keeps, and what it calls them.

    Parameters
    ----------
    reduce : {"concat", "l2", "mean", "select"}
        "concat": all K maps side by side; "l2": one map, the magnitude sqrt(sum of squares over maps); "mean": one
        map, the average over maps; "select": some maps.
    numbers : tuple of int
        The maps that are computed, from 0.
    names : tuple of str
        Of the maps that are returned: one for each number, or the reduction's name.
    """

    reduce: str
    numbers: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def keeps_maps(self) -> bool:
        """Whether the maps are returned as the filter makes them."""
        return self.reduce not in ("l2", "mean")

    def reduced(self, maps: Floats) -> Floats:
        """The maps to return (K or 1, H, W), from the maps of `numbers` (K, H, W)."""
        if self.reduce == "l2":
            return np.sqrt(np.einsum("khw,khw->hw", maps, maps))[None]
        if self.reduce == "mean":
            return maps.mean(axis=0, keepdims=True)
        return maps


def choose(method: str, names: Sequence[str], reduce: str, select: Select) -> Choice:
    """Read the parameters `reduce` and `select` of a method.

    Parameters
    ----------
    method : str
        Named in messages.
    names : sequence of str, length K
        What the maps are called.
    reduce : {"concat", "l2", "mean", "select"}
    select : str, int or sequence of int
        With `reduce="select"`, numbers from 0 and ranges, such as "0,3,7" or "0-15".

    Raises
    ------
    UsageError
        For an unknown reduction or a wrong `select`.
    """
    if reduce not in REDUCTIONS:
        raise UsageError(f"{method}.reduce is '{reduce}'; it must be one of {', '.join(REDUCTIONS)}.")
    chosen = _numbers(method, select, len(names))
    if (reduce == "select") != bool(chosen):
        raise UsageError(
            f"{method}.reduce=select needs {method}.select, such as {method}.select=0,3,7."
            if reduce == "select"
            else f"{method}.select={select} is only used with {method}.reduce=select; here it is '{reduce}'."
        )
    numbers = chosen or tuple(range(len(names)))
    return Choice(reduce, numbers, (reduce,) if reduce in ("l2", "mean") else tuple(names[n] for n in numbers))


def numbered(count: int) -> tuple[str, ...]:
    """Names for maps that have nothing but a number: k00, k01, ..."""
    width = max(2, len(str(count - 1)))
    return tuple(f"k{number:0{width}d}" for number in range(count))


def _numbers(method: str, select: Select, count: int) -> tuple[int, ...]:
    """The maps' numbers; the command line may hand over "0,3,7", "0-15", one number, or a list."""
    parts = select.split(",") if isinstance(select, str) else [select] if isinstance(select, int) else list(select)
    texts = [str(part).strip() for part in parts]
    if texts in ([], [""]):
        return ()
    numbers: list[int] = []
    wrong = ""
    for text in texts:
        first, _, last = text.partition("-")
        ends = (first, last or first) if first.isdecimal() and (last or "-" not in text) else ("", "")
        if not all(end.isdecimal() and int(end) < count for end in ends) or int(ends[0]) > int(ends[1]):
            wrong = wrong or text
            continue
        numbers += range(int(ends[0]), int(ends[1]) + 1)
    if wrong or len(set(numbers)) < len(numbers):
        raise UsageError(
            f"{method}.select={select!r} must be different numbers from 0 to {count - 1} with commas between them"
            + (f"; '{wrong}' is not." if wrong else "; one is there twice.")
        )
    return tuple(numbers)


class BankHarmonizer:
    """An image as the maps of a filter bank. Whoever derives from this says what `bank` an image is filtered with.

    The whole image is filtered and the mask is applied afterwards, by the extractor: masked first, the mask's edge
    would dominate every kernel.

    Attributes
    ----------
    choice : Choice
    linear_maps : bool
        False where `respond` does something, so that maps have to be made before features are computed.
    """

    choice: Choice
    linear_maps: bool = True

    def bank(self, image: Image) -> FilterBank:
        """The pixels as the filter sees them, and the chosen kernels."""
        raise NotImplementedError

    def respond(self, maps: Floats) -> Floats:
        """What becomes of the filtered maps, pixel by pixel, before they are reduced; nothing, unless overridden."""
        return maps

    def fit(self, images: ImageSet, context: Context) -> Self:
        """Nothing is learnt here: the kernels are fixed."""
        return self

    def transform(self, image: Image) -> FilteredImage:
        """The maps of one image.

        Returns
        -------
        FilteredImage
            Maps float64 (K, H, W), or (1, H, W) for "l2" and "mean".

        Raises
        ------
        DataError
            When the image is smaller than a kernel.
        """
        bank = self.bank(image)
        try:
            maps = filter_bank(bank.pixels, bank.kernels, bank.bias)
        except DataError as error:
            raise DataError(f"sample '{image.sample}': {error.problem}", remedy=error.remedy) from error
        maps = self.choice.reduced(self.respond(maps))
        return FilteredImage(image.sample, maps, self.choice.names, image.mask, image.spacing)

    def linear(self, image: Image) -> FilterBank | None:
        """The filter itself instead of its maps, where the maps are left as they are."""
        return self.bank(image) if self.linear_maps and self.choice.keeps_maps else None


class FixedBank(BankHarmonizer):
    """A bank that is the same for every image and filters grey levels as they are, without bias.

    Parameters
    ----------
    method : str
        Named in messages.
    kernels : float64 (K, h, w)
    names : sequence of str, length K
        Of the maps.
    reduce, select
        See `choose`.
    """

    def __init__(self, method: str, kernels: Floats, names: Sequence[str], reduce: str, select: Select) -> None:
        self.choice = choose(method, names, reduce, select)
        self.kernels = exact(kernels[list(self.choice.numbers)])

    def bank(self, image: Image) -> FilterBank:
        """The grey levels, and the chosen kernels."""
        pixels = image.pixels.astype(np.float64)
        return FilterBank(pixels, self.kernels, np.zeros(len(self.kernels)), self.choice.names)


def exact(kernels: Floats) -> Floats:
    """The kernels rounded to multiples of 2^-32, so that filtering an 8-bit image makes no rounding error.

    Products and sums then fit into a double's 53 bits, and come out the same in whatever order they are added. The maps
    of simple kernels take few values, many of them on the very edge between two grey-level bins: a last bit that
    depends on the order would move them across, and features by per cents.
    """
    return np.rint(kernels * _STEPS) / _STEPS


def stacked(kernels: Sequence[Floats]) -> Floats:
    """Kernels of several sizes as one bank (K, h, w): zeros are put around the smaller ones, their middles in line.

    The middle of a kernel is where `filter.padding` puts it, so that a kernel answers as it would alone.
    """
    h, w = (max(kernel.shape[axis] for kernel in kernels) for axis in (0, 1))
    bank = np.zeros((len(kernels), h, w))
    for place, kernel in zip(bank, kernels, strict=True):
        top, left = (h - 1) // 2 - (kernel.shape[0] - 1) // 2, (w - 1) // 2 - (kernel.shape[1] - 1) // 2
        place[top : top + kernel.shape[0], left : left + kernel.shape[1]] = kernel
    return bank


def numbers_of(where: str, text: str | float | Sequence[float], low: float, high: float) -> tuple[float, ...]:
    """A parameter that is a list of different numbers above `low` and at most `high`, such as "0.1,0.2,0.4".

    Raises
    ------
    UsageError
        Naming what is wrong in the list.
    """
    parts = text.split(",") if isinstance(text, str) else [text] if isinstance(text, int | float) else list(text)
    values: list[float] = []
    for part in parts:
        try:
            value = float(part)
        except ValueError:
            value = float("nan")
        if not low < value <= high:
            raise UsageError(
                f"{where} must be numbers above {low:g} and at most {high:g} with commas between them; "
                f"{str(part).strip()!r} is not."
            )
        values.append(value)
    if len(set(values)) < len(values):
        raise UsageError(f"{where}={text!r} holds a number twice.")
    return tuple(values)
