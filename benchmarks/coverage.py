"""Do the intervals hold the truth, and do the tests keep their level? Simulated, as a table.

    python benchmarks/coverage.py [--quick] [--json] [--only NAME ...]

Every line is a rate over simulated data sets whose truth is known, beside what it should be and the two standard errors
of the simulation. `naive` lines show what happens without the precaution. docs/statistics.md has the table;
`python -m pytest -m slow tests/stats/test_coverage.py` checks it.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import norm, ttest_1samp

from harmbench.data import FEATURE_CLASSES, FeatureTable, Floats
from harmbench.stats.auc import auc, weighted_auc
from harmbench.stats.bootstrap import interval, patient_resamples
from harmbench.stats.cross_validation import corrected_t
from harmbench.stats.delong import delong, difference
from harmbench.stats.permutation import benjamini_hochberg
from harmbench.stats.ranking import Contender, gate_then_goal
from harmbench_builtin.evaluators.jsd import corrected_replicates
from harmbench_builtin.evaluators.manufacturer_divergence import ManufacturerDivergence


@dataclass(frozen=True)
class Rate:
    """One line of the table.

    Parameters
    ----------
    name : str
    quantity : str
        "coverage", "false positives", "false discoveries" or "power".
    nominal : float or None
        What it should be; None where it is only shown.
    rate : float
    simulations : int
        What the rate is a share of (independent data sets).
    """

    name: str
    quantity: str
    nominal: float | None
    rate: float
    simulations: int

    @property
    def error(self) -> float:
        """Two standard errors of the simulation."""
        return 2.0 * math.sqrt(max(self.rate * (1.0 - self.rate), 1e-4) / self.simulations)


def paired_aucs(simulations: int) -> Iterator[Rate]:
    """Difference of two methods' AUCs: 150 patients with two images, two manufacturers 3:1."""
    patient = np.repeat(np.arange(150), 2)
    label, maker = (np.arange(150) % 2)[patient], np.where(np.arange(150) % 4 == 0, "B", "A")[patient]
    rows = np.arange(300)
    for effects in ((1.4, 1.4), (1.7, 1.1)):
        # One score is effect x label + N(0, 2): pairs are of different patients, so AUC = Phi(effect / 2).
        truth = norm.cdf(effects[0] / 2) - norm.cdf(effects[1] / 2)
        held = np.zeros(4)
        for i in range(simulations):
            rng = np.random.default_rng([1, i, int(10 * effects[0])])
            shared = rng.standard_normal(150)[patient]
            scores = np.column_stack([e * label + shared + rng.standard_normal(300) for e in effects])
            found = []
            for who in (patient, rows):
                weights = patient_resamples(who, maker, label, 500, i)
                found.append(
                    interval(weighted_auc(label, scores[:, 0], weights) - weighted_auc(label, scores[:, 1], weights))
                )
            for who in (patient, rows):
                test = difference(delong(label, scores, who))
                found.append((np.float64(test.low), np.float64(test.high)))
            held += [low <= truth <= high for low, high in found]
        names = ("patient bootstrap", "row bootstrap, naive", "DeLong, patients", "DeLong, rows, naive")
        for name, count in zip(names, held, strict=True):
            what = f"AUC difference {truth:.2f}: {name}"
            yield Rate(what, "coverage", None if "naive" in name else 0.95, count / simulations, simulations)


def one_auc(simulations: int) -> Iterator[Rate]:
    """An AUC itself, 150 patients with two nearly equal images: where repeated patients matter most."""
    patient = np.repeat(np.arange(150), 2)
    label, maker = (np.arange(150) % 2)[patient], np.repeat("A", 300)
    truth, held = norm.cdf(1.0 / math.sqrt(2 * 1.1)), np.zeros(4)
    for i in range(simulations):
        rng = np.random.default_rng([2, i])
        score = label + rng.standard_normal(150)[patient] + math.sqrt(0.1) * rng.standard_normal(300)
        found = []
        for who in (patient, np.arange(300)):
            found.append(interval(weighted_auc(label, score, patient_resamples(who, maker, label, 500, i))))
            one = delong(label, score, who)
            reach = 1.959964 * np.sqrt(one.covariance[0, 0])
            found.append((one.auc[0] - reach, one.auc[0] + reach))
        held += [low <= truth <= high for low, high in found]
    names = ("patient bootstrap", "DeLong, patients", "row bootstrap, naive", "DeLong, rows, naive")
    for name, count in zip(names, held, strict=True):
        nominal = None if "naive" in name else 0.95
        yield Rate(f"AUC: {name}", "coverage", nominal, count / simulations, simulations)


def simulated(
    rng: np.random.Generator, large: int, small: int, shift: Floats | float, p: int, images: int = 1,
    prevalence: tuple[float, float] = (0.5, 0.5), signal: float = 0.0,
) -> FeatureTable:  # fmt: skip
    """Two manufacturers with so many patients, features with correlation 0.3, a shift of the second, a label effect."""
    n = large + small
    maker = np.arange(n) >= large
    label = np.concatenate([np.arange(m) < round(s * m) for m, s in zip((large, small), prevalence, strict=True)])
    of_patient = math.sqrt(0.3) * rng.standard_normal((n, 1)) + math.sqrt(0.7) * rng.standard_normal((n, p))
    of_patient += np.multiply.outer(maker, np.broadcast_to(shift, p)) + signal * label[:, None]
    rows = np.repeat(np.arange(n), images)
    values = of_patient[rows] + (0.3 * rng.standard_normal((len(rows), p)) if images > 1 else 0.0)
    return FeatureTable(
        values,
        tuple(f"original_{FEATURE_CLASSES[0]}_F{j}" for j in range(p)),
        np.array([f"s{i}" for i in range(len(rows))]),
        np.where(maker, "Philips", "GE")[rows],
        np.array([f"p{i}" for i in rows]),
        label=label[rows].astype(int),
    )


def true_divergence(shift: float) -> float:
    """Class-conditional JSD of `simulated` features, from 80 000 rows."""
    if not shift:
        return 0.0
    whole = simulated(np.random.default_rng(0), 40_000, 40_000, shift, 2)
    return float(ManufacturerDivergence(whole).estimate("conditional", p_values=False).corrected.mean())


def replicates(table: FeatureTable, seed: int) -> tuple[Floats, Floats]:
    """Replicates of the mean class-conditional JSD: as runs correct them, and with the bias taken off once."""
    engine = ManufacturerDivergence(table, seed=seed)
    estimate = engine.estimate("conditional", p_values=False)
    weights = patient_resamples(table.patient, table.manufacturer, table.label, 500, seed)
    raw = engine.replicates("conditional", weights, np.ones((1, len(table.features)), bool))[:, 0].mean(axis=0)
    value, bias = float(estimate.corrected.mean()), float(estimate.bias.mean())
    return corrected_replicates(engine, raw, value, bias), raw - bias


def divergences(simulations: int) -> Iterator[Rate]:
    """Class-conditional JSD: intervals of the mean over 5 features, by the formula (400/100) and by permutation."""
    for shift in (0.0, 0.5):
        truth = true_divergence(shift)
        for large, small, images in ((400, 100, 1), (160, 40, 1), (150, 60, 2)):
            held = plain = 0
            for i in range(simulations):
                table = simulated(np.random.default_rng([3, i, large, int(10 * shift)]), large, small, shift, 5, images)
                if images > 1:  # the noise between images of a patient makes the shift smaller in sd: put it back
                    table = table.with_values(
                        table.values + (math.sqrt(1.09) - 1) * shift * (table.manufacturer == "Philips")[:, None]
                    )
                drawn, once = replicates(table, i)
                low, high = interval(drawn)
                held += bool(low <= truth <= high)
                low, high = interval(once)
                plain += bool(low <= truth <= high)
            what = f"JSD {truth:.3f}, {large}/{small} patients x {images}"
            yield Rate(what, "coverage", 0.95, held / simulations, simulations)
            yield Rate(
                f"{what}: percentile, bias taken off once, naive", "coverage", None, plain / simulations, simulations
            )


def strong_divergences(simulations: int) -> Iterator[Rate]:
    """Strong effects: the interval of a JSD, and that of the difference of two methods whose JSD is the same.

    The features of the two methods are correlated 0.8, as those of methods that work on the same images are, or not at
    all. Where groups are small, the correction for chance is too large for a strong effect, and coverage falls.
    """
    for shift in (1.0, 1.5, 2.0):
        truth = true_divergence(shift)
        for large, small in ((400, 100), (160, 40)):
            held = np.zeros(3)
            for i in range(simulations):
                rng = np.random.default_rng([8, i, large, int(10 * shift)])
                first, second = (simulated(rng, large, small, shift, 5) for _ in range(2))
                moved = shift * (first.manufacturer == "Philips")[:, None]
                alike = first.with_values(0.8 * (first.values - moved) + 0.6 * (second.values - moved) + moved)
                drawn, correlated, unrelated = (replicates(table, i)[0] for table in (first, alike, second))
                for k, (found, true) in enumerate(
                    ((drawn, truth), (drawn - correlated, 0.0), (drawn - unrelated, 0.0))
                ):
                    low, high = interval(found)
                    held[k] += low <= true <= high
            what = f"JSD {truth:.3f}, {large}/{small} patients x 1"
            names = (what, f"{what}: difference of two alike", f"{what}: difference of two with unrelated features")
            for name, nominal, count in zip(names, (None, 0.95, None), held, strict=True):
                yield Rate(name, "coverage", nominal, count / simulations, simulations)


def permutations(simulations: int) -> Iterator[Rate]:
    """No manufacturer effect, but the label is commoner at one and moves the features; two images per patient."""
    inside = across = 0.0
    for i in range(simulations):
        table = simulated(np.random.default_rng([4, i]), 80, 40, 0.0, 5, 2, (0.3, 0.7), 1.0)
        for form in (0, 1):
            engine = ManufacturerDivergence(
                table if form == 0 else table.with_label(np.zeros(len(table), int)), draws=199, seed=i
            )
            p = engine.estimate("conditional").p_value
            assert p is not None
            share = float((p[0] <= 0.05).mean())
            inside, across = (inside + share, across) if form == 0 else (inside, across + share)
    yield Rate("permutation within labels", "false positives", 0.05, inside / simulations, simulations)
    yield Rate("permutation across labels, naive", "false positives", None, across / simulations, simulations)


def discoveries(simulations: int) -> Iterator[Rate]:
    """One feature in ten shifted by 1 sd, 40 correlated features, 100/50 patients, 999 draws, q <= 0.05."""
    shift = np.where(np.arange(40) % 10 == 0, 1.0, 0.0)
    adjusted, unadjusted, power = 0.0, 0.0, 0.0
    for i in range(simulations):
        table = simulated(np.random.default_rng([5, i]), 100, 50, shift, 40)
        p = ManufacturerDivergence(table, draws=999, seed=i).estimate("conditional").p_value
        assert p is not None
        for found, kind in ((benjamini_hochberg(p[0]) <= 0.05, "q"), (p[0] <= 0.05, "p")):
            false = float((found & (shift == 0)).sum() / max(found.sum(), 1))
            adjusted, unadjusted = (adjusted + false, unadjusted) if kind == "q" else (adjusted, unadjusted + false)
            power += float(found[shift > 0].mean()) if kind == "q" else 0.0
    yield Rate("Benjamini-Hochberg over features", "false discoveries", 0.05, adjusted / simulations, simulations)
    yield Rate("p <= 0.05, naive", "false discoveries", None, unadjusted / simulations, simulations)
    yield Rate("Benjamini-Hochberg over features", "power", None, power / simulations, simulations)


def cross_validated(simulations: int) -> Iterator[Rate]:
    """Two equally good classifiers (linear discriminants on different halves of the features), 5 x 5 folds, n = 100."""
    n, p, repeats, folds = 100, 10, 5, 5
    naive = corrected = 0
    for i in range(simulations):
        rng = np.random.default_rng([6, i])
        label = np.arange(n) % 2
        values = rng.standard_normal((n, 2 * p)) + 0.25 * label[:, None]
        differences = []
        for _ in range(repeats):
            fold = rng.permutation(n) % folds
            for k in range(folds):
                train, test = fold != k, fold == k
                differences.append(
                    _discriminant(values[:, :p], label, train, test) - _discriminant(values[:, p:], label, train, test)
                )
        naive += ttest_1samp(differences, 0.0).pvalue <= 0.05
        corrected += corrected_t(differences, n * (folds - 1) / folds, n / folds).p_value <= 0.05
    yield Rate("repeated CV: corrected t", "false positives", 0.05, corrected / simulations, simulations)
    yield Rate("repeated CV: plain t over 25 folds, naive", "false positives", None, naive / simulations, simulations)


def _discriminant(values: Floats, label: Floats, train: Floats, test: Floats) -> float:
    """AUC on the test rows of Fisher's linear discriminant."""
    a, b = values[train & (label == 0)], values[train & (label == 1)]
    within = np.cov(a.T) + np.cov(b.T)
    return auc(label[test], values[test] @ np.linalg.solve(within, b.mean(axis=0) - a.mean(axis=0)))


def ranks(simulations: int) -> Iterator[Rate]:
    """Five methods, two of them equal, goals measured on the same 120 patients: does the interval hold the rank?"""
    goals = np.array([0.30, 0.20, 0.20, 0.15, 0.05])
    lowest = 1 + (goals[None] < goals[:, None]).sum(axis=1)
    highest = lowest + (goals[None] == goals[:, None]).sum(axis=1) - 1
    patient = np.arange(120).astype(str)
    held = together = 0.0
    for i in range(simulations):
        rng = np.random.default_rng([7, i])
        values = goals + 0.3 * rng.standard_normal((120, 1)) + 0.25 * rng.standard_normal((120, 5))
        weights = patient_resamples(patient, np.repeat("A", 120), np.arange(120) % 2, 1000, i)
        drawn = values.T @ weights / 120
        still = np.zeros(1000)
        field = [Contender(str(j), 0.0, float(values[:, j].mean()), still, drawn[j]) for j in range(5)]
        standings = gate_then_goal(field, field[0], 0.02)
        intervals = [standings[str(j)].rank or (9, 9) for j in range(5)]
        right = [a <= high and low <= b for (a, b), low, high in zip(intervals, lowest, highest, strict=True)]
        held += float(np.mean(right))
        together += standings["1"].group == standings["2"].group
    yield Rate("rank interval", "coverage", 0.95, held / simulations, simulations)
    yield Rate("two equal methods share a group", "coverage", 0.95, together / simulations, simulations)


STUDIES: dict[str, tuple[Callable[[int], Iterator[Rate]], int]] = {
    "paired-auc": (paired_aucs, 400),
    "auc": (one_auc, 400),
    "jsd": (divergences, 200),
    "strong-jsd": (strong_divergences, 200),
    "permutation": (permutations, 400),
    "discovery": (discoveries, 200),
    "cross-validation": (cross_validated, 400),
    "rank": (ranks, 400),
}


def study(name: str, quick: bool = False) -> list[Rate]:
    """The lines of one study; with `quick` a tenth of the simulations."""
    run, simulations = STUDIES[name]
    return list(run(simulations // 10 if quick else simulations))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the simulations")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--only", nargs="+", choices=sorted(STUDIES), help="some of the studies")
    options = parser.parse_args()
    rates = []
    if not options.json:
        print("| | quantity | should be | is | +- | simulations |\n|---|---|---|---|---|---|")
    for name in options.only or STUDIES:
        for rate in study(name, options.quick):
            rates.append(rate)
            if not options.json:
                nominal = "" if rate.nominal is None else f"{rate.nominal:.2f}"
                line = f"| {rate.name} | {rate.quantity} | {nominal} | {rate.rate:.3f} | {rate.error:.3f} "
                print(f"{line}| {rate.simulations} |", flush=True)
    if options.json:
        print(json.dumps({"rates": [asdict(rate) for rate in rates]}, indent=2))


if __name__ == "__main__":
    main()
