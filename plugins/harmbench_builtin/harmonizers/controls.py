"""Controls with a known answer: they bound every score and prove that each metric points the right way.

Whatever is random is seeded by the run's seed and the sample's id, so that a row's result does not depend on the rows
that come with it.
"""

from __future__ import annotations

import math

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench.errors import DataError, UnseenManufacturer, UsageError
from harmbench.seeding import rng, seed
from harmbench_builtin.harmonizers.checks import require_features


def _checked_noise(control: str, noise: float) -> float:
    if isinstance(noise, bool) or not isinstance(noise, (int, float)) or not math.isfinite(noise) or noise < 0:
        raise UsageError(f"{control}.noise must be a finite number of at least 0, not {noise!r}.")
    return float(noise)


def _noise(base: int, control: str, table: FeatureTable) -> Floats:
    """Standard normal (n, p), a row's numbers depending on its sample id alone."""
    out = np.empty(table.values.shape)
    for row, sample in zip(out, table.samples.tolist(), strict=True):
        rng(base, control=control, sample=sample).standard_normal(out=row)
    return out


def _unfitted(control: str) -> UsageError:
    return UsageError(f"{control} has not been fitted; call fit before transform.")


class Collapse:
    """Every value becomes 0: no manufacturer effect is left, and no signal either.

    The same constant in every fold (not the fold's mean): out-of-fold rows of several folds are scored together, and a
    constant that differs between folds would be no constant there.
    """

    def __init__(self) -> None:
        self._fitted: tuple[str, ...] | None = None

    def fit(self, table: FeatureTable, context: Context) -> Collapse:
        self._fitted = table.features
        return self

    def transform(self, table: FeatureTable) -> FeatureTable:
        if self._fitted is None:
            raise _unfitted("collapse")
        require_features(table, self._fitted, "collapse")
        return table.with_values(np.zeros_like(table.values))


class Shuffle:
    """Every row is replaced by a training row drawn for its sample id: marginals stay, all associations go.

    The draw is uniform over the training rows other than the sample itself. Training rows and test rows are treated
    alike, so nothing tells them apart.
    """

    def __init__(self) -> None:
        self._fitted: tuple[FeatureTable, int] | None = None

    def fit(self, table: FeatureTable, context: Context) -> Shuffle:
        if not len(table):
            raise DataError("shuffle draws from training rows, but there are none.")
        self._fitted = (table, context.seed)
        return self

    def transform(self, table: FeatureTable) -> FeatureTable:
        if self._fitted is None:
            raise _unfitted("shuffle")
        train, base = self._fitted
        require_features(table, train.features, "shuffle")
        place = {sample: i for i, sample in enumerate(train.samples.tolist())}
        rows = [self._draw(base, sample, place.get(sample), len(train)) for sample in table.samples.tolist()]
        return table.with_values(train.values[np.asarray(rows, dtype=np.int64)])

    @staticmethod
    def _draw(base: int, sample: str, own: int | None, n: int) -> int:
        number = seed(base, control="shuffle", sample=sample)
        if own is None or n == 1:
            return number % n
        return (own + 1 + number % (n - 1)) % n


class OracleLabel:
    """Every feature is the label plus noise: the best signal there can be, and no manufacturer effect of its own.

    Parameters
    ----------
    noise : float, default 0.1
        Standard deviation of the noise; the classes are 1 apart.
    """

    def __init__(self, noise: float = 0.1) -> None:
        self.noise = _checked_noise("oracle-label", noise)
        self._seed: int | None = None

    def fit(self, table: FeatureTable, context: Context) -> OracleLabel:
        self._seed = context.seed
        return self

    def transform(self, table: FeatureTable) -> FeatureTable:
        if self._seed is None:
            raise _unfitted("oracle-label")
        if table.label is None:
            raise DataError("oracle-label returns the label, but the table to transform has none.")
        return table.with_values(table.label[:, None] + self.noise * _noise(self._seed, "oracle-label", table))


class OracleSite:
    """Feature j tells whether the row is of manufacturer j mod L, plus noise: the worst harmonization there can be.

    Parameters
    ----------
    noise : float, default 0.1
        Standard deviation of the noise; the indicator is 0 or 1.
    """

    def __init__(self, noise: float = 0.1) -> None:
        self.noise = _checked_noise("oracle-site", noise)
        self._fitted: tuple[tuple[str, ...], int] | None = None

    def fit(self, table: FeatureTable, context: Context) -> OracleSite:
        self._fitted = (table.manufacturers, context.seed)
        return self

    def transform(self, table: FeatureTable) -> FeatureTable:
        if self._fitted is None:
            raise _unfitted("oracle-site")
        manufacturers, base = self._fitted
        for name in table.manufacturers:
            if name not in manufacturers:
                raise UnseenManufacturer(
                    f"oracle-site knows only the manufacturers of its training rows ({', '.join(manufacturers)}), "
                    f"not '{name}'"
                )
        own = np.array([manufacturers.index(name) for name in table.manufacturer.tolist()], dtype=np.int64)
        turn = np.arange(len(table.features)) % max(1, len(manufacturers))
        indicator = (own[:, None] == turn).astype(np.float64)
        return table.with_values(indicator + self.noise * _noise(base, "oracle-site", table))
