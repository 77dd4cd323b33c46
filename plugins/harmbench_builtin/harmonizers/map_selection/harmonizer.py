"""`select-maps`: few maps out of many, chosen on the training rows.

The rule is the one by which the leaderboard ranks methods, asked of maps: gate, then goal. A map passes the gate when
its held-out AUC within manufacturers, from patient-grouped folds inside the training rows, is at most `tolerance`
standard errors below that of the best map (the one-standard-error rule of Breiman et al., Classification and
Regression Trees, 1984: the best of forty noisy figures is partly luck, and what lies within one error of it is no worse
as far as the data tell). Of the maps that pass, those with the lowest class-conditional divergence between
manufacturers are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats, map_of
from harmbench.errors import DataError, NotApplicable, UsageError
from harmbench_builtin.harmonizers.checks import require_features, require_finite
from harmbench_builtin.harmonizers.map_selection import scores


@dataclass(frozen=True)
class Choice:
    """What a fit found of every map, in the order of the columns.

    Parameters
    ----------
    maps : tuple of str
    divergence : float64 (K,)
        Mean over the map's features of the class-conditional JSD between manufacturers, bias-corrected.
    signal : float64 (K,)
        Held-out AUC within manufacturers, inside the training rows.
    floor : float
        The AUC that a map must reach.
    chosen : tuple of str
        The maps that are kept, lowest divergence first.
    """

    maps: tuple[str, ...]
    divergence: Floats
    signal: Floats
    floor: float
    chosen: tuple[str, ...]


class SelectMaps:
    """Keep the features of the maps that differ least between manufacturers, of those that keep the signal.

    Labels and manufacturers of the training rows are used in `fit`; `transform` only drops columns, of whatever
    manufacturer a row is. Features that belong to no map (shape2D) stay.

    Parameters
    ----------
    maps : int, default 4
        How many maps to keep at most; fewer when fewer pass the gate.
    tolerance : float, default 1.0
        How many standard errors a map's AUC may lie below the best one's. 0: only the best map; large: no gate.
    inner_folds, inner_repeats : int, default 5 and 3
        Patient-grouped folds inside the training rows, and how often they are drawn anew.
    bins : int, default 10
        Of the divergence.

    Raises
    ------
    UsageError
        A parameter outside its range.

    Notes
    -----
    With one manufacturer in the training rows (leave-one-manufacturer-out of two) no divergence can be measured: it
    counts as 0 for every map, and the best signal decides. Equal divergences are ordered by signal, then by column.
    """

    def __init__(
        self, maps: int = 4, tolerance: float = 1.0, inner_folds: int = 5, inner_repeats: int = 3, bins: int = 10
    ) -> None:
        rules = (
            ("maps", maps, 1),
            ("tolerance", tolerance, 0),
            ("inner_folds", inner_folds, 2),
            ("inner_repeats", inner_repeats, 1),
            ("bins", bins, 2),
        )
        for name, value, least in rules:
            if not value >= least:
                raise UsageError(f"select-maps.{name} is {value}; it must be at least {least}.")
        self.maps, self.tolerance, self.bins = maps, tolerance, bins
        self.inner_folds, self.inner_repeats = inner_folds, inner_repeats
        self._fitted: tuple[Choice, tuple[str, ...]] | None = None

    def fit(self, table: FeatureTable, context: Context) -> SelectMaps:
        """Choose on these rows only; an earlier choice is forgotten.

        Raises
        ------
        DataError
            No labels, one class only, too few patients for inner folds, or values that are not finite.
        NotApplicable
            The features belong to no map.
        """
        self._fitted = None
        require_finite(table, "select-maps")
        if table.label is None:
            raise DataError("select-maps weighs the signal of each map, but the table to fit has no labels.")
        if len(np.unique(table.label)) < 2:
            raise DataError(
                "select-maps weighs the signal of each map, but the rows to fit are of one class.",
                remedy="Use fewer folds, so that every training part holds both classes.",
            )
        of_column = np.array([map_of(name) for name in table.features], dtype=object)
        names = tuple(name for name in dict.fromkeys(of_column.tolist()) if name)
        if not names:
            raise NotApplicable(
                "select-maps chooses among maps, but no feature is named <map>_<class>_<Feature>; use it behind a "
                "filter bank, such as ssl-kernel+select-maps"
            )
        columns = [np.flatnonzero(of_column == name) for name in names]
        per_feature = scores.divergence(table, self.bins)
        divergence = np.array([per_feature[own].mean() for own in columns])
        seed = context.derive(method="select-maps").seed
        folds = scores.inner_folds(table, self.inner_folds, self.inner_repeats, seed)
        signal, error = scores.signal(table, columns, folds)
        floor = float(signal.max() - self.tolerance * error) if np.isfinite(error) else -np.inf
        passed = np.flatnonzero(signal >= floor)
        order = passed[np.lexsort((passed, -signal[passed], divergence[passed]))]
        chosen = tuple(names[k] for k in order[: self.maps])
        self._fitted = (Choice(names, divergence, signal, floor, chosen), table.features)
        return self

    @property
    def choice(self) -> Choice:
        """What the last fit found.

        Raises
        ------
        UsageError
            There was none.
        """
        if self._fitted is None:
            raise UsageError("select-maps has not been fitted; call fit before transform.")
        return self._fitted[0]

    def report(self) -> dict[str, Any]:
        """Every map with its two scores and whether it was kept (`rank` from 1; 0: not kept), for the run folder."""
        choice = self.choice
        rank = [choice.chosen.index(name) + 1 if name in choice.chosen else 0 for name in choice.maps]
        return {
            "map": list(choice.maps),
            "divergence": choice.divergence,
            "signal": choice.signal,
            "passed": choice.signal >= choice.floor,
            "rank": rank,
        }

    def transform(self, table: FeatureTable) -> FeatureTable:
        """The columns of the chosen maps and those of no map, in their order; values stay.

        Raises
        ------
        DataError
            Other features than in the fit.
        """
        kept = {*self.choice.chosen, ""}
        assert self._fitted is not None  # `choice` has raised otherwise
        require_features(table, self._fitted[1], "select-maps")
        return table.columns(np.array([map_of(name) in kept for name in table.features]))
