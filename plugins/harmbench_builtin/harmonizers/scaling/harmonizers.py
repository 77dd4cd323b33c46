"""Location and scale, per manufacturer or of all rows together, by moments or by ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench_builtin.harmonizers.manufacturers import UNSEEN, check_choice, known_groups, training_groups
from harmbench_builtin.harmonizers.robust import centre_and_scale
from harmbench_builtin.harmonizers.table_method import TableMethod


def mean_and_sd(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation (divisor n - 1) of each feature; 1 for a constant one.

    Parameters
    ----------
    values : float64 (n, p)

    Returns
    -------
    mean, sd : float64 (p,)
    """
    constant = values.max(axis=0) == values.min(axis=0)
    # The mean of equal numbers may miss them by rounding, which would look like variation.
    mean = np.where(constant, values[0], values.mean(axis=0))
    sd = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
    return mean, np.where(constant | (sd == 0), 1.0, sd)


@dataclass(frozen=True)
class Scales:
    """Location and scale of each manufacturer, float64 (L, p), and of all training rows, float64 (p,)."""

    manufacturers: tuple[str, ...]
    centre: Floats
    scale: Floats
    pooled_centre: Floats
    pooled_scale: Floats


class PooledZScore(TableMethod[tuple[Floats, Floats]]):
    """(x - mean) / sd of all training rows together: the same map for every manufacturer.

    It cannot harmonize; it shows what unit variance alone does to a classifier or a metric. It serves any manufacturer.
    A feature that is constant in the training rows is only shifted to 0.
    """

    name = "pooled-zscore"

    def learn(self, table: FeatureTable, context: Context) -> tuple[Floats, Floats]:
        return mean_and_sd(table.values)

    def apply(self, state: tuple[Floats, Floats], table: FeatureTable) -> Floats:
        return (table.values - state[0]) / state[1]


class PooledRobust(PooledZScore):
    """(x - median) / (1.4826 MAD) of all training rows together: outliers do not set the scale.

    Where at least half of the values are equal the standard deviation (divisor n) stands in for the MAD, which is 0.
    Otherwise as `PooledZScore`.
    """

    name = "pooled-robust"

    def learn(self, table: FeatureTable, context: Context) -> tuple[Floats, Floats]:
        return centre_and_scale(table.values)


class ZScore(TableMethod[Scales]):
    """(x - mean_i) / sd_i with the mean and standard deviation of the row's own manufacturer i in the training rows.

    ComBat without covariates and without shrinkage, up to the common scale; on real data often as good, so it belongs
    into every comparison. Where diagnoses are not equally common at all manufacturers it removes that difference, too.

    Parameters
    ----------
    unseen : {"error", "pooled"}, default "error"
        A row of a manufacturer that the fit has not seen raises `UnseenManufacturer`, or gets the mean and standard
        deviation of all training rows.

    Notes
    -----
    Needs two training rows of each manufacturer. A feature that is constant within a manufacturer is only shifted
    there (scale 1), so that its mean is 0 at every manufacturer.
    """

    name = "zscore"

    def __init__(self, unseen: str = "error") -> None:
        super().__init__()
        self.unseen = check_choice(self.name, "unseen", unseen, UNSEEN)

    @property
    def handles_unseen_manufacturer(self) -> bool:
        """With these parameters."""
        return self.unseen != "error"

    @staticmethod
    def moments(values: Floats) -> tuple[Floats, Floats]:
        """Location and scale of some rows."""
        return mean_and_sd(values)

    def learn(self, table: FeatureTable, context: Context) -> Scales:
        groups = training_groups(table, self.name)
        found = [self.moments(table.values[rows]) for rows in groups.values()]
        centre, scale = (np.stack(part) for part in zip(*found, strict=True))
        return Scales(tuple(groups), centre, scale, *self.moments(table.values))

    def apply(self, state: Scales, table: FeatureTable) -> Floats:
        out = np.empty(table.values.shape)
        for name, rows in known_groups(table, state.manufacturers, self.name, self.unseen):
            if name is None:
                centre, scale = state.pooled_centre, state.pooled_scale
            else:
                i = state.manufacturers.index(name)
                centre, scale = state.centre[i], state.scale[i]
            out[rows] = (table.values[rows] - centre) / scale
        return out


class RobustZScore(ZScore):
    """(x - median_i) / (1.4826 MAD_i) with those of the row's own manufacturer i in the training rows.

    Where at least half of a manufacturer's values are equal its standard deviation (divisor n) stands in for the MAD,
    which is 0. Otherwise as `ZScore`.
    """

    name = "robust-zscore"

    @staticmethod
    def moments(values: Floats) -> tuple[Floats, Floats]:
        return centre_and_scale(values)
