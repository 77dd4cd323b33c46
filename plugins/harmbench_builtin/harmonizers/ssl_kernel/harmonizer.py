"""`ssl-kernel` and its control `random-kernel`: an image as the maps of a filter bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from harmbench.components import Context
from harmbench.data import FilterBank, FilteredImage, Floats, Image, ImageSet
from harmbench.errors import DataError, UsageError
from harmbench.seeding import rng
from harmbench_builtin.harmonizers.ssl_kernel.filter import filter_bank
from harmbench_builtin.harmonizers.ssl_kernel.kernels import Kernels, load_kernels
from harmbench_builtin.harmonizers.ssl_kernel.registry import resolve

REDUCTIONS = ("concat", "l2", "mean", "select")


class SslKernel:
    """Filters an image with the stem kernels of a masked autoencoder.

    The whole image is filtered and the mask is applied afterwards, by the extractor: masked first, the mask's edge
    would dominate every kernel.

    Parameters
    ----------
    kernels : str
        A name that ships, or the path of a `.safetensors` file made by `harmbench pretrain`.
    reduce : {"concat", "l2", "mean", "select"}
        "concat": all K maps, named k00, k01, ...; "l2": one map, the magnitude sqrt(sum of squares over maps);
        "mean": one map, the average over maps; "select": the maps given by `select`.
    select : str
        With `reduce="select"`, the kernels' numbers from 0, such as "0,3,7". Maps keep their kernel's name.

    Raises
    ------
    UsageError
        For an unknown name or reduction, or a wrong `select`.
    DataError
        For a file that holds no kernels.

    References
    ----------
    arXiv 2310.08897.
    """

    def __init__(
        self, kernels: str = "fcmae-atto-phantom", reduce: str = "concat", select: str | int | Sequence[int] = ""
    ) -> None:
        self._setup("ssl-kernel", load_kernels(resolve(kernels)), reduce, select)

    def _setup(self, method: str, kernels: Kernels, reduce: str, select: str | int | Sequence[int]) -> None:
        if reduce not in REDUCTIONS:
            raise UsageError(f"{method}.reduce is '{reduce}'; it must be one of {', '.join(REDUCTIONS)}.")
        chosen = _chosen(method, select, len(kernels))
        if (reduce == "select") != bool(chosen):
            raise UsageError(
                f"{method}.reduce=select needs {method}.select, such as {method}.select=0,3,7."
                if reduce == "select"
                else f"{method}.select={select} is only used with {method}.reduce=select; here it is '{reduce}'."
            )
        width = max(2, len(str(len(kernels) - 1)))
        numbers = chosen or tuple(range(len(kernels)))
        self.kernels = replace(kernels, weight=kernels.weight[list(numbers)], bias=kernels.bias[list(numbers)])
        self.reduce = reduce
        self.names = (reduce,) if reduce in ("l2", "mean") else tuple(f"k{number:0{width}d}" for number in numbers)

    def fingerprint(self) -> str:
        """A hash of the kernels in use, for the cache key: a path says nothing about the content."""
        return self.kernels.digest()

    @property
    def pretrained_on(self) -> tuple[str, ...]:
        """The data set that the kernels were trained on, as their file says."""
        data = self.kernels.provenance.get("data", {})
        return (str(data["name"]),) if data.get("name") else ()

    def fit(self, images: ImageSet, context: Context) -> Self:
        """Nothing is learnt here: the kernels are fixed."""
        return self

    def transform(self, image: Image) -> FilteredImage:
        """The maps of one image.

        Returns
        -------
        FilteredImage
            Maps float64 (K, H, W), or (1, H, W) for "l2" and "mean".
        """
        try:
            maps = filter_bank(self.kernels.prepare(image.pixels), self.kernels.weight, self.kernels.bias)
        except DataError as error:
            raise DataError(f"sample '{image.sample}': {error.problem}", remedy=error.remedy) from error
        return FilteredImage(image.sample, _reduced(maps, self.reduce), self.names, image.mask, image.spacing)

    def linear(self, image: Image) -> FilterBank | None:
        """The filter itself instead of its maps, where the maps are left as they are."""
        if self.reduce in ("l2", "mean"):
            return None
        return FilterBank(self.kernels.prepare(image.pixels), self.kernels.weight, self.kernels.bias, self.names)


class RandomKernel(SslKernel):
    """The control: kernels of normal random numbers, each with the norm and the bias of the learnt one it replaces.

    What these maps do, any 4 x 4 filter does; only what the learnt ones do beyond it is due to learning. The bias
    is kept because it only moves a map by a constant.

    Parameters
    ----------
    like : str
        The kernels whose number, size, norms, biases and preprocessing are taken (a name or a path).
    seed : int
    reduce, select
        As for `SslKernel`.
    """

    def __init__(
        self,
        like: str = "fcmae-atto-phantom",
        seed: int = 0,
        reduce: str = "concat",
        select: str | int | Sequence[int] = "",
    ) -> None:
        learnt = load_kernels(resolve(like))
        drawn = rng(seed, component="random-kernel").normal(size=learnt.weight.shape)
        norms = np.linalg.norm(learnt.weight, axis=(1, 2), keepdims=True)
        weight = drawn * (norms / np.linalg.norm(drawn, axis=(1, 2), keepdims=True))
        self._setup("random-kernel", replace(learnt, weight=weight, provenance={}, synthetic=False), reduce, select)


def _reduced(maps: Floats, reduce: str) -> Floats:
    if reduce == "l2":
        return np.sqrt(np.einsum("khw,khw->hw", maps, maps))[None]
    if reduce == "mean":
        return maps.mean(axis=0, keepdims=True)
    return maps


def _chosen(method: str, select: str | int | Sequence[int], count: int) -> tuple[int, ...]:
    """The kernels' numbers; the command line may hand over "0,3,7", one number, or a list."""
    parts = select.split(",") if isinstance(select, str) else [select] if isinstance(select, int) else list(select)
    texts = [str(part).strip() for part in parts]
    if texts in ([], [""]):
        return ()
    wrong = [text for text in texts if not text.isdecimal() or int(text) >= count]
    if wrong or len(set(map(int, texts))) < len(texts):
        raise UsageError(
            f"{method}.select={select!r} must be different numbers from 0 to {count - 1} with commas between them"
            + (f"; '{wrong[0]}' is not." if wrong else "; one is there twice.")
        )
    return tuple(int(text) for text in texts)
