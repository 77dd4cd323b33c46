"""The compiled extractor against PyRadiomics: time, agreement, growth, distance to the limit.

    python benchmarks/speed/extractors.py [--quick] [--json]

All engines run in this process, in turn, on the same speckle images and the same ring of 6 010 pixels, 32 bins; times
are the processor's, of one thread, and a ratio is taken within each round. PyRadiomics is what its users call,
`RadiomicsFeatureExtractor.execute` on a one-slice volume (`force2D`, `additionalInfo=False`, ITK with one thread).

pyradiomics_ratio_per_core
    PyRadiomics' time per map / ours with the machine's best instruction set; median over rounds, 93 + 9 features each.
pyradiomics_ratio_baseline_isa
    The same with the instructions that every x86-64 (or arm64) has.
thread_speedup_2
    Wall time with one thread / with two, many images.
features_equal, max_relative_difference
    How many of the 102 features agree (rtol 1e-6, atol 1e-12) on all images compared: speckle and signed filtered maps,
    bin count and bin width; and the largest relative difference among values above 1e-9.
microseconds_per_map
    Ours, median.

Engines that are not installed are left out; nyxus is timed when it can be imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from common import environment, parser, show
from scipy.ndimage import correlate, gaussian_filter

from harmbench.data import Bools, Floats
from harmbench_builtin.extractors.fast2d import engine
from harmbench_builtin.extractors.fast2d.names import NAMES, SHAPE_NAMES
from harmbench_builtin.extractors.fast2d.settings import Settings

_engine: Any = importlib.import_module("harmbench_builtin.extractors.fast2d._engine") if engine.available()[0] else None

RTOL, ATOL = 1e-6, 1e-12
BATCH = 64
"""Maps per call of ours: a batch as the kernels method makes them."""


def speckle(n: int, size: int = 256, seed: int = 0) -> Floats:
    """Log-compressed fully developed speckle (n, size, size), 0 to 255: blurred complex noise, its envelope in dB."""
    rng = np.random.default_rng(seed)
    out = np.empty((n, size, size))
    y, x = np.mgrid[0:size, 0:size] / size
    for k in range(n):
        re, im = (gaussian_filter(rng.standard_normal((size, size)), (0.9, 1.6)) for _ in range(2))
        gain = 1.2 + 0.8 * np.sin(2 * np.pi * (rng.random() + x * rng.random() + y * rng.random()))
        envelope = np.hypot(re, im) * gain
        out[k] = np.clip(255 * (20 * np.log10(envelope / envelope.max() + 1e-6) / 50 + 1), 0, 255)
    return out


def ring(scale: float = 1.0, size: int = 256) -> Bools:
    """An elliptical ring like a myocardium: 6 010 pixels at scale 1."""
    y, x = np.mgrid[0:size, 0:size].astype(float)
    y, x = (y - size / 2 - 3) / scale, (x - size / 2 + 5) / scale
    return ((y / 70) ** 2 + (x / 50) ** 2 <= 1) & ((y / 48) ** 2 + (x / 33) ** 2 > 1)


class Reference:
    """PyRadiomics' own extractor."""

    def __init__(self, mask: Bools, settings: Settings) -> None:
        import SimpleITK as sitk
        from radiomics import featureextractor

        logging.getLogger("radiomics").setLevel(logging.CRITICAL)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        binning = {"binWidth": settings.bin_width} if settings.bin_width > 0 else {"binCount": settings.bin_count}
        self._sitk = sitk
        self._mask = sitk.GetImageFromArray(mask.astype(np.uint8)[None])
        self._extractor = featureextractor.RadiomicsFeatureExtractor(
            **binning, force2D=True, force2Ddimension=0, label=1, additionalInfo=False
        )
        self._extractor.disableAllFeatures()
        for name in ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm", "shape2D"):
            self._extractor.enableFeatureClassByName(name)

    def __call__(self, image: Floats) -> Floats:
        """The 102 features (shape2D first)."""
        found = self._extractor.execute(self._sitk.GetImageFromArray(image[None]), self._mask)
        names = [f"shape2D_{name}" for name in SHAPE_NAMES] + list(NAMES)
        return np.array([float(found[f"original_{name}"]) for name in names])


def ours(maps: Floats, mask: Bools, settings: Settings) -> Floats:
    """The 102 features of each map (shape2D first), the plan of the mask included."""
    plan = engine.Plan(mask)
    texture = engine.extract(maps, plan, settings)
    return np.hstack([np.broadcast_to(engine.shape2d(plan), (len(maps), len(SHAPE_NAMES))), texture])


def nyxus_engine(mask: Bools, settings: Settings) -> Callable[[Floats], Any] | None:
    """Nyxus on a batch of maps whose grey levels are given to it , or None where it is not installed."""
    if importlib.util.find_spec("nyxus") is None:
        return None
    import nyxus

    groups = ["*ALL_INTENSITY*", "*ALL_GLCM*", "*ALL_GLRLM*", "*ALL_GLSZM*", "*ALL_GLDM*", "*ALL_NGTDM*"]
    run = nyxus.Nyxus(groups, coarse_gray_depth=settings.bin_count, n_feature_calc_threads=1, ibsi=True)
    run.set_metaparam("glcm/offset=1")

    def batch(maps: Floats) -> Any:
        inside = maps[:, mask]
        low, high = inside.min(axis=1)[:, None, None], inside.max(axis=1)[:, None, None]
        share = np.clip((maps - low) / (high - low), 0, 1)
        whole = (np.minimum(share * settings.bin_count, settings.bin_count - 1) + 1).astype(np.uint32)
        with _silent():
            return run.featurize(whole, np.repeat(mask[None].astype(np.uint32), len(maps), axis=0))

    return batch


@contextmanager
def _silent() -> Iterator[None]:
    """Without what compiled code prints."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def with_set(name: str, work: Callable[[], Any]) -> Callable[[], Any]:
    """`work` with this instruction set."""

    def run() -> Any:
        before = os.environ.get("HARMBENCH_ISA")
        os.environ["HARMBENCH_ISA"] = name
        try:
            return work()
        finally:
            if before is None:
                del os.environ["HARMBENCH_ISA"]
            else:
                os.environ["HARMBENCH_ISA"] = before

    return run


def rounds(
    jobs: dict[str, tuple[Callable[[], Any], int]], n: int, clock: Callable[[], float] = time.process_time
) -> dict[str, Floats]:
    """Seconds per map of every job in every round; one round runs all jobs in turn."""
    for work, _ in jobs.values():
        work()
    taken = {name: np.empty(n) for name in jobs}
    for r in range(n):
        for name, (work, maps) in jobs.items():
            start = clock()
            work()
            taken[name][r] = (clock() - start) / maps
    return taken


def compare_values(images: Floats, mask: Bools) -> tuple[int, float, list[str]]:
    """Features that agree on every image, the largest relative difference, and a line per class."""
    rng = np.random.default_rng(1)
    filtered = np.stack([correlate(image, rng.standard_normal((7, 7)) / 7, mode="nearest") for image in images])
    names = [f"shape2D_{name}" for name in SHAPE_NAMES] + list(NAMES)
    equal, largest = np.ones(len(names), dtype=bool), np.zeros(len(names))
    for maps in (images, filtered):
        for settings in (Settings(), Settings(bin_width=8.0)):
            reference = Reference(mask, settings)
            expected, found = np.stack([reference(m) for m in maps]), ours(maps, mask, settings)
            equal &= np.isclose(found, expected, rtol=RTOL, atol=ATOL).all(axis=0)
            size = np.abs(expected)
            relative = np.where(size > 1e-9, np.abs(found - expected) / np.maximum(size, 1e-300), 0.0)
            largest = np.maximum(largest, relative.max(axis=0))
    lines = []
    for c in dict.fromkeys(name.split("_")[0] for name in names):
        at = np.array([name.startswith(f"{c}_") for name in names])
        lines.append(
            f"  {c:10s} {equal[at].sum():2d} of {at.sum():2d} equal, largest difference {largest[at].max():.1e}"
        )
    return int(equal.sum()), float(largest.max()), lines


def growth(images: Floats, mask: Bools, n: int) -> tuple[list[str], float]:
    """Microseconds per map against maps, kernels, pixels and bins; and the exponent of time in the number of maps."""
    plan, settings = engine.Plan(mask), Settings()
    rng = np.random.default_rng(2)
    kernels = rng.standard_normal((352, 4, 4)) / 4
    image = images[0]

    def extraction(maps: int) -> tuple[Callable[[], Any], int]:
        chosen = np.resize(np.arange(len(images)), maps)
        stack = images[chosen]
        return lambda: engine.extract(stack, plan, settings), maps

    def filtering(maps: int) -> tuple[Callable[[], Any], int]:
        return lambda: engine.extract_filtered(image, kernels[:maps], None, plan, settings), maps

    def region(scale: float, bins: int) -> tuple[Callable[[], Any], int]:
        other, chosen = engine.Plan(ring(scale)), Settings(bin_count=bins)
        return lambda: engine.extract(images, other, chosen), len(images)

    jobs = {f"{k:4d} maps": extraction(k) for k in (1, 8, 64, 256)}
    jobs |= {f"{k:4d} filters 4x4, fused": filtering(k) for k in (1, 40, 352)}
    jobs |= {f"{int(ring(s).sum()):6d} pixels": region(s, 32) for s in (0.5, 1.0, 1.5, 2.4)}
    jobs |= {f"{b:4d} bins": region(1.0, b) for b in (8, 16, 32, 64, 128, 254)}
    taken = rounds(jobs, n)
    lines = [f"  {name:24s} {1e6 * np.median(t):8.1f} us per map" for name, t in taken.items()]
    total = [256 * np.median(taken[" 256 maps"]), 8 * np.median(taken["   8 maps"])]
    return lines, float(np.log(total[0] / total[1]) / np.log(256 / 8))


def counter_limit(pixels: int, n: int) -> float:
    """Seconds that five counter increments per pixel take by themselves, at random indices of GLCM-sized tables."""
    index = np.random.default_rng(3).integers(0, 5 * 33 * 33, 5 * pixels).astype(np.uint16)
    return float(np.median(rounds({"limit": (lambda: _engine.increments(index, 50), 50)}, n)["limit"]))


def thread_speedup(images: Floats, mask: Bools, n: int) -> tuple[float, list[float], float]:
    """Wall time with one thread over that with two (fastest rounds), its 10th and 90th percentile over rounds, and what
    the machine gave at the same time to two threads that only count.
    """
    plan, settings = engine.Plan(mask), Settings()
    many = [images] * 8
    index = np.random.default_rng(4).integers(0, 5 * 33 * 33, 30_000).astype(np.uint16)

    def job(threads: int) -> tuple[Callable[[], Any], int]:
        return lambda: engine.extract_many(many, [plan] * len(many), settings, threads), len(many) * len(images)

    def control(threads: int) -> tuple[Callable[[], Any], int]:
        def work() -> None:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda _: _engine.increments(index, 400), range(8)))

        return work, 1

    taken = rounds({"1": job(1), "2": job(2), "free 1": control(1), "free 2": control(2)}, n, time.perf_counter)
    given = float(taken["free 1"].min() / taken["free 2"].min())
    return float(taken["1"].min() / taken["2"].min()), _spread(taken["1"] / taken["2"]), given


def _spread(values: Floats) -> list[float]:
    return [float(q) for q in np.quantile(values, (0.1, 0.9))]


def measure(quick: bool) -> tuple[dict[str, float | int | None], dict[str, list[float]], list[str]]:
    """Figures, their spread (10th and 90th percentile of rounds), and lines for people."""
    figures: dict[str, float | int | None] = dict.fromkeys(
        ("pyradiomics_ratio_per_core", "pyradiomics_ratio_baseline_isa", "thread_speedup_2", "features_equal",
         "max_relative_difference", "microseconds_per_map")
    )  # fmt: skip
    spread: dict[str, list[float]] = {}
    n = 15 if quick else 40
    images, mask, settings = speckle(BATCH), ring(), Settings()
    pixels = int(mask.sum())
    best = engine.instruction_set()
    jobs: dict[str, tuple[Callable[[], Any], int]] = {}
    if importlib.util.find_spec("radiomics"):
        reference = Reference(mask, settings)
        jobs["PyRadiomics execute"] = (lambda: reference(images[0]), 1)
    ours_best, ours_baseline = f"fast2d {best}", "fast2d with the baseline set"
    jobs[ours_best] = (with_set(best, lambda: ours(images, mask, settings)), BATCH)
    jobs[ours_baseline] = (with_set("baseline", lambda: ours(images, mask, settings)), BATCH)
    kernels = np.random.default_rng(2).standard_normal((40, 4, 4)) / 4
    plan = engine.Plan(mask)
    jobs["fast2d, 4x4 filters fused"] = (
        with_set(best, lambda: engine.extract_filtered(images[0], kernels, None, plan, settings)), 40,
    )  # fmt: skip
    other = nyxus_engine(mask, settings)
    if other:
        jobs["nyxus"] = (lambda: other(images[:8]), 8)
    taken = rounds(jobs, n)
    lines = [f"{pixels} pixels, 32 bins, {n} rounds, processor time of one thread"]
    slow = taken.get("PyRadiomics execute")
    for name, t in taken.items():
        line = f"  {name:30s} {1e6 * np.median(t):10.1f} us per map"
        if slow is not None:
            ratio = slow / t
            line += f"   {np.median(ratio):7.1f} times PyRadiomics ({_spread(ratio)[0]:.0f} to {_spread(ratio)[1]:.0f})"
        lines.append(line)
    figures["microseconds_per_map"] = 1e6 * float(np.median(taken[ours_best]))
    spread["microseconds_per_map"] = [1e6 * q for q in _spread(taken[ours_best])]
    if slow is not None:
        for figure, name in (
            ("pyradiomics_ratio_per_core", ours_best),
            ("pyradiomics_ratio_baseline_isa", ours_baseline),
        ):
            figures[figure] = float(np.median(slow / taken[name]))
            spread[figure] = _spread(slow / taken[name])
        equal, largest, classes = compare_values(images[: 2 if quick else 8], mask)
        figures["features_equal"], figures["max_relative_difference"] = equal, largest
        lines += [f"{equal} of 102 features equal, largest relative difference {largest:.1e}", *classes]
    else:
        lines.append("PyRadiomics is not installed: nothing to compare with")
    figures["thread_speedup_2"], spread["thread_speedup_2"], given = thread_speedup(images, mask, 2 * n)
    lines.append(
        f"two threads: {figures['thread_speedup_2']:.2f} times one (wall time); bare counting, which shares nothing: "
        f"{given:.2f} times"
    )
    shown, exponent = growth(images[:8], mask, 5 if quick else 15)
    lines += [f"growth: time rises with the number of maps to the power {exponent:.3f}", *shown]
    floor = counter_limit(pixels, n)
    lines.append(
        f"limit: five counter increments per pixel alone take {1e6 * floor:.1f} us per map; we take "
        f"{float(np.median(taken[ours_best])) / floor:.1f} times that"
    )
    return figures, spread, lines


def main() -> None:
    arguments = parser(__doc__, "fewer rounds and images")
    options = arguments.parse_args()
    built, reason = engine.available()
    if not built:
        arguments.exit(1, f"the compiled engine is not available: {reason}\n")
    figures, spread, lines = measure(options.quick)
    peers = ("numpy", "pyradiomics", "pyradiomics-cuda", "nyxus")
    show(options.json, figures, spread, environment(peers, instruction_set=engine.instruction_set()), lines)


if __name__ == "__main__":
    main()
