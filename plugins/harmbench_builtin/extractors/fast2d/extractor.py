"""Extractor `fast2d`: the numbers of `pyradiomics` from the compiled engine, or from whatever else is installed."""

from __future__ import annotations

import multiprocessing
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from harmbench.components import Context
from harmbench.data import SHAPE_PREFIX, Bools, Features, FilteredImage, Floats
from harmbench.errors import DataError, PluginError, UsageError
from harmbench_builtin.extractors.fast2d import engine, oracle
from harmbench_builtin.extractors.fast2d.checks import check_mask, check_values
from harmbench_builtin.extractors.fast2d.names import NAMES, SHAPE_NAMES
from harmbench_builtin.extractors.fast2d.settings import Settings
from harmbench_builtin.harmonizers.filter_bank.filter import filter_bank

_PLANS = 32

Spacing = tuple[float, float]


@dataclass(frozen=True)
class _Region:
    """A mask with what is derived from it: the shape features asked for, the engine's plan (None without the engine).

    Spacing is (1, 1) where it is unknown.
    """

    sample: str
    mask: Bools
    spacing: Spacing
    shape: Floats
    plan: Any


class Fast2d:
    """First order, GLCM, GLRLM, GLSZM, GLDM and NGTDM of every map (93 features), shape2D of every mask (9).

    Names, order and values are those of the `pyradiomics` extractor, to 1e-6 of each value. Masks may be of any form:
    with holes, in parts, touching the border, one pixel wide. Where the compiled engine is missing, the `pyradiomics`
    extractor serves, or without it NumPy; a warning says so, once in a process.

    Parameters
    ----------
    bin_count : int, default 32
        Grey levels between the smallest and the largest value inside the mask, 2 to 65 535 (PyRadiomics' `binCount`).
    bin_width : float, default 0.0
        When above 0, levels are this wide instead, in the map's own units, and `bin_count` is not used
        (PyRadiomics' `binWidth`: edges are multiples of the width).
    shape : bool, default True
        Whether the mask's features are given too. They are in mm where the spacing is known, else in pixels.
    distance : int, default 1
        Pixels between neighbours in GLCM, GLDM and NGTDM, 1 to 255.
    symmetrical_glcm : bool, default True

    Attributes
    ----------
    engine : str
        What computes: "compiled avx2" (or another instruction set), "pyradiomics" or "numpy".

    Raises
    ------
    UsageError
        A parameter is out of range.

    References
    ----------
    van Griethuysen et al., Cancer Res 77:e104 (2017), 10.1158/0008-5472.CAN-17-0339
    """

    def __init__(
        self,
        bin_count: int = 32,
        bin_width: float = 0.0,
        shape: bool = True,
        distance: int = 1,
        symmetrical_glcm: bool = True,
    ) -> None:
        if not isinstance(shape, bool):
            raise UsageError(f"shape={shape!r} must be true or false.")
        self.settings = Settings(bin_count, bin_width, distance, symmetrical_glcm)
        self.shape = shape
        self.engine = _chosen_engine()
        self._plans: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        # Plans hold memory of the engine's, and another process may have another engine.
        return {"settings": self.settings, "shape": self.shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, engine=_chosen_engine(), _plans=OrderedDict())

    def extract(self, images: Sequence[FilteredImage], context: Context) -> Features:
        """One row per image: shape2D first (when asked for), then 93 features for each map in order.

        Pixels outside the mask have no influence and may be NaN. `context.n_jobs` threads share the images; values do
        not depend on their number.

        Raises
        ------
        DataError
            A mask is empty, a pixel inside it is not finite, the values make too many levels or cannot be parted, or
            a feature has no value (GLCM of one pixel).
        PluginError
            The images do not have the same maps.
        """
        if not images:
            return Features((), (), np.empty((0, 0)))
        maps = images[0].names
        for image in images:
            if image.names != maps:
                raise PluginError(
                    f"sample '{image.sample}' has the maps {', '.join(image.names)}, sample '{images[0].sample}' "
                    f"{', '.join(maps)}; an image harmonizer must give every image the same maps."
                )
        regions = [self._region(image.sample, image.mask, image.spacing) for image in images]
        row = {"pyradiomics": self._by_pyradiomics, "numpy": self._by_numpy}.get(self.engine, self._by_engine)
        # Threads serve an engine that releases the interpreter lock; PyRadiomics also shares a logger among them.
        threads = context.n_jobs if self.engine.startswith("compiled") else 1
        rows = _in_threads(threads, row, images, regions)
        return Features(tuple(image.sample for image in images), self.names(maps), np.stack(rows))

    def extract_linear(
        self,
        sample: str,
        pixels: Floats,
        kernels: Floats,
        bias: Floats,
        names: Sequence[str],
        mask: Bools,
        spacing: Spacing | None,
        context: Context,
    ) -> Features:
        """The row of an image under a bank of linear filters, without storing the filtered maps.

        Equal to `extract` of `filter_bank(pixels, kernels, bias)` to 1e-9: sums are float64, the border is mirrored,
        the stride is 1. With the compiled engine maps are computed at the mask's pixels only.

        Parameters
        ----------
        sample : str
        pixels : float64 (H, W)
        kernels : float64 (K, h, w)
        bias : float64 (K,)
        names : K names
            Of the maps.
        mask : bool (H, W)
        spacing : (float, float) or None
            mm per row and per column.

        Raises
        ------
        DataError
            As `extract`; and the image is smaller than a kernel.
        """
        pixels, kernels, bias = (np.ascontiguousarray(a, dtype=np.float64) for a in (pixels, kernels, bias))
        if pixels.shape[0] < kernels.shape[1] or pixels.shape[1] < kernels.shape[2]:
            raise DataError(
                f"sample '{sample}': the image has {pixels.shape[0]} x {pixels.shape[1]} pixels, fewer than the "
                f"filter's {kernels.shape[1]} x {kernels.shape[2]}.",
                remedy="Leave the image out, or resample it to a finer grid.",
            )

        def filtered() -> FilteredImage:
            return FilteredImage(sample, filter_bank(pixels, kernels, bias), tuple(names), mask, spacing)

        if not self.engine.startswith("compiled"):
            return self.extract([filtered()], context)
        region = self._region(sample, mask, spacing)
        values = engine.extract_filtered(pixels, kernels, bias, region.plan, self.settings)
        if self._suspicious(values):
            self._explain(filtered())
        return Features((sample,), self.names(names), self._row(region, names, values)[None])

    def names(self, maps: Sequence[str]) -> tuple[str, ...]:
        """The columns for maps of these names."""
        return _names(tuple(maps), self.shape)

    def _region(self, sample: str, mask: Bools, spacing: Spacing | None) -> _Region:
        """The mask with what is derived from it, kept: it comes again with every method and every fold."""
        check_mask(mask, sample)
        spacing = spacing or (1.0, 1.0)
        if not self.engine.startswith("compiled"):
            return _Region(sample, mask, spacing, oracle.shape2d(mask, spacing) if self.shape else np.empty(0), None)
        key = (mask.shape, np.packbits(mask).tobytes(), spacing)
        kept = self._plans.pop(key, None)
        if kept is None:
            plan = engine.Plan(mask, spacing)
            kept = (engine.shape2d(plan) if self.shape else np.empty(0), plan)
        self._plans[key] = kept
        if len(self._plans) > _PLANS:
            self._plans.popitem(last=False)
        return _Region(sample, mask, spacing, *kept)

    def _by_engine(self, image: FilteredImage, region: _Region) -> Floats:
        values = engine.extract(image.maps, region.plan, self.settings)
        if self._suspicious(values):
            self._explain(image)
        return self._row(region, image.names, values)

    def _by_numpy(self, image: FilteredImage, region: _Region) -> Floats:
        values = oracle.extract(
            image.maps, image.mask, region.spacing, self.settings, sample=image.sample, names=image.names
        )
        return self._row(region, image.names, values)

    def _by_pyradiomics(self, image: FilteredImage, region: _Region) -> Floats:
        """By NumPy all the same where PyRadiomics would refuse a mask or a number of levels that we take."""
        from harmbench_builtin.extractors.pyradiomics import MAX_LEVELS, PyRadiomics

        self._explain(image)
        s, sides = self.settings, [int(np.ptp(at)) + 1 for at in np.nonzero(image.mask)]
        ranges = np.ptp(image.maps[:, image.mask], axis=1)
        levels = ranges.max(initial=0) / s.bin_width + 1 if s.bin_width > 0 else s.bin_count
        if min(sides) < 2 or s.distance >= max(sides) or levels > MAX_LEVELS:
            return self._by_numpy(image, region)
        extractor = PyRadiomics(s.bin_count, s.bin_width, self.shape, s.distance, s.symmetrical_glcm)
        row: Floats = extractor.extract([image], Context()).values[0]
        return row

    def _row(self, region: _Region, maps: Sequence[str], values: Floats) -> Floats:
        """Shape and texture in one row, every value finite."""
        row = np.concatenate([region.shape, values.ravel()])
        if not (finite := np.isfinite(row)).all():
            bad = np.flatnonzero(~finite)
            columns = self.names(maps)
            shown = ", ".join(columns[i] for i in bad[:8]) + (f" and {bad.size - 8} more" if bad.size > 8 else "")
            raise DataError(
                f"sample '{region.sample}': features without a finite value: {shown} ({int(region.mask.sum())} pixels "
                f"in the mask, distance {self.settings.distance}).",
                remedy="The region is too small or too thin for them, or the map's values are extreme; leave the "
                "sample out or draw a larger region.",
            )
        return row

    def _suspicious(self, values: Floats) -> bool:
        """Whether maps need a closer look: a value is not finite, or levels are hardly wider than rounding."""
        if not np.isfinite(values).all():
            return True
        low, high = values[:, NAMES.index("firstorder_Minimum")], values[:, NAMES.index("firstorder_Maximum")]
        s = self.settings
        width = s.bin_width if s.bin_width > 0 else np.where(high > low, high - low, 1.0) / s.bin_count
        return bool((width < 4 * np.spacing(np.maximum(np.abs(low), np.abs(high)))).any())

    def _explain(self, image: FilteredImage) -> None:
        """Raise what is wrong with the maps' values; nothing, if it is the mask."""
        for name, values in zip(image.names, image.maps, strict=True):
            check_values(values[image.mask], self.settings, image.sample, name)


@lru_cache(maxsize=64)
def _names(maps: tuple[str, ...], shape: bool) -> tuple[str, ...]:
    """The columns; kept, because thousands of names for every image would take as long as ten maps."""
    of_mask = tuple(f"{SHAPE_PREFIX}{name}" for name in SHAPE_NAMES) if shape else ()
    return of_mask + tuple(f"{m}_{name}" for m in maps for name in NAMES)


def _in_threads(
    n_jobs: int,
    row: Callable[[FilteredImage, _Region], Floats],
    images: Sequence[FilteredImage],
    regions: Sequence[_Region],
) -> list[Floats]:
    if n_jobs <= 1 or len(images) < 2:
        return [row(image, region) for image, region in zip(images, regions, strict=True)]
    with ThreadPoolExecutor(min(n_jobs, len(images))) as pool:
        return list(pool.map(row, images, regions))


def _chosen_engine() -> str:
    built, reason = engine.available()
    if built:
        return f"compiled {engine.instruction_set()}"
    instead = "pyradiomics" if find_spec("radiomics") else "numpy"
    _warn_once(reason, instead)
    return instead


@cache
def _warn_once(reason: str, instead: str) -> None:
    if multiprocessing.current_process().name != "MainProcess":
        return  # a worker: the process that started it has said so
    warnings.warn(
        f"fast2d: the compiled engine is not available ({reason}); {instead} computes the same features, hundreds of "
        "times slower.",
        stacklevel=4,
    )
