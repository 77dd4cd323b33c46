"""`quantile`: each feature's distribution at a manufacturer is mapped to a common one."""

from __future__ import annotations

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench_builtin.harmonizers.manufacturers import (
    UNSEEN,
    check_choice,
    check_number,
    check_text,
    known_groups,
    training_groups,
)
from harmbench_builtin.harmonizers.quantile.mapping import Map, follow, knots, mixture, quantiles
from harmbench_builtin.harmonizers.table_method import TableMethod

TARGETS = ("mixture", "mean")


class Quantile(TableMethod[dict[str, tuple[Map, ...]]]):
    """Feature by feature, x becomes Q(F_i(x)), with F_i of the row's manufacturer and Q of the target, both as trained.

    The map rises, so the order of values at a manufacturer stays. Only marginal distributions change; correlations
    between features do not.

    Parameters
    ----------
    target : {"mixture", "mean"}, default "mixture"
        What Q is without a reference. `mixture`: the quantiles of all manufacturers put together with equal weights,
        whatever their numbers of rows. `mean`: the mean of their quantiles, as in Bolstad's quantile normalization (the
        barycentre of optimal transport in one dimension); two shifted distributions meet in the middle, where their
        mixture has two heaps.
    reference : str, default ""
        Manufacturer whose distribution is the target; its own rows stay as they are.
    quantiles : int, default 100
        Levels, equally spaced from 0 to 1, at which distributions are stored; between them they are interpolated.
        2 to 10000. Fewer smooth the map.
    unseen : {"error", "pooled"}, default "error"
        A row of a manufacturer that the fit has not seen raises `UnseenManufacturer`, or is taken to lie on the target
        already and returned as it is.

    Notes
    -----
    Beyond the smallest and largest training value of its manufacturer a value moves by as much as that extreme does.
    Equal training values that cover several levels go to the mean of the target over those levels. A feature that is
    constant at a manufacturer is therefore shifted by the distance to the target's mean. Needs two manufacturers, and
    two training rows of each.

    References
    ----------
    Bolstad, Irizarry, Astrand, Speed (2003), doi:10.1093/bioinformatics/19.2.185.
    """

    name = "quantile"

    def __init__(
        self, target: str = "mixture", reference: str = "", quantiles: int = 100, unseen: str = "error"
    ) -> None:
        super().__init__()
        self.target = check_choice(self.name, "target", target, TARGETS)
        self.reference = check_text(self.name, "reference", reference)
        self.quantiles = int(check_number(self.name, "quantiles", quantiles, 2, 10_000, whole=True))
        self.unseen = check_choice(self.name, "unseen", unseen, UNSEEN)

    @property
    def handles_unseen_manufacturer(self) -> bool:
        """With these parameters."""
        return self.unseen != "error"

    def learn(self, table: FeatureTable, context: Context) -> dict[str, tuple[Map, ...]]:
        groups = training_groups(table, self.name, reference=self.reference, several=True)
        levels = np.linspace(0, 1, self.quantiles)
        curves = {name: np.ascontiguousarray(quantiles(table.values[rows], levels).T) for name, rows in groups.items()}
        if self.reference:
            target = curves[self.reference]
        elif self.target == "mean":
            target = np.mean(list(curves.values()), axis=0)
        else:
            target = np.array([mixture(some, levels) for some in zip(*curves.values(), strict=True)])
        return {
            name: tuple(knots(one, common) for one, common in zip(curve, target, strict=True))
            for name, curve in curves.items()
        }

    def apply(self, state: dict[str, tuple[Map, ...]], table: FeatureTable) -> Floats:
        out = table.values.copy()
        for name, rows in known_groups(table, tuple(state), self.name, self.unseen):
            if name is None or name == self.reference:
                continue
            columns = np.ascontiguousarray(table.values[rows].T)
            for column, mapping in zip(columns, state[name], strict=True):
                column[:] = follow(mapping, column)
            out[rows] = columns.T
        return out
