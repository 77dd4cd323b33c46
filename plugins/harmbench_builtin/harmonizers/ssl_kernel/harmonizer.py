"""`ssl-kernel` and its control `random-kernel`: an image as the maps of a filter bank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harmbench.components import Overlap
from harmbench.data import FilterBank, Image, ImageSet
from harmbench.seeding import rng
from harmbench_builtin.harmonizers.filter_bank.bank import BankHarmonizer, Select, choose, numbered
from harmbench_builtin.harmonizers.ssl_kernel.kernels import Kernels, load_kernels
from harmbench_builtin.harmonizers.ssl_kernel.registry import resolve


class SslKernel(BankHarmonizer):
    """Filters an image with the stem kernels of a masked autoencoder.

    Parameters
    ----------
    kernels : str
        A name that ships, or the path of a `.safetensors` file made by `harmbench pretrain` or `harmbench kernels
        import`.
    reduce : {"concat", "l2", "mean", "select"}
        "concat": all K maps, named k00, k01, ...; "l2": one map, the magnitude sqrt(sum of squares over maps);
        "mean": one map, the average over maps; "select": the maps given by `select`.
    select : str
        With `reduce="select"`, the kernels' numbers from 0, such as "0,3,7" or "0-15". Maps keep their kernel's name.

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

    def __init__(self, kernels: str = "fcmae-atto-phantom", reduce: str = "concat", select: Select = "") -> None:
        self._setup("ssl-kernel", load_kernels(resolve(kernels)), reduce, select)

    def _setup(self, method: str, kernels: Kernels, reduce: str, select: Select) -> None:
        self.choice = choose(method, numbered(len(kernels)), reduce, select)
        numbers = list(self.choice.numbers)
        self.kernels = replace(kernels, weight=kernels.weight[numbers], bias=kernels.bias[numbers])

    def bank(self, image: Image) -> FilterBank:
        """The pixels as the network saw them, and its kernels."""
        return FilterBank(self.kernels.prepare(image.pixels), self.kernels.weight, self.kernels.bias, self.choice.names)

    def fingerprint(self) -> str:
        """A hash of the kernels in use, for the cache key: a path says nothing about the content."""
        return self.kernels.digest()

    @property
    def pretrained_on(self) -> tuple[str, ...]:
        """The data set that the kernels were trained on, as their file says."""
        data = self.kernels.provenance.get("data", {})
        return (str(data["name"]),) if data.get("name") else ()

    def trained_on(self, images: ImageSet) -> Overlap | None:
        """Which patients and images of a set the kernels were trained on, as far as their file lists ids."""
        return self.kernels.seen.overlap(images, ", ".join(self.pretrained_on))


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
        select: Select = "",
    ) -> None:
        learnt = load_kernels(resolve(like))
        drawn = rng(seed, component="random-kernel").normal(size=learnt.weight.shape)
        norms = np.linalg.norm(learnt.weight, axis=(1, 2), keepdims=True)
        weight = drawn * (norms / np.linalg.norm(drawn, axis=(1, 2), keepdims=True))
        self._setup("random-kernel", replace(learnt, weight=weight, provenance={}, synthetic=False), reduce, select)

    def trained_on(self, images: ImageSet) -> Overlap | None:
        """None: random numbers were not trained on anything."""
        return None
