"""`entropic-ot`: entropy-regularized optimal transport of rows, by POT (an optional extra)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ot.bregman import sinkhorn_log  # the extra `transport`; this module is imported when the method first runs
from scipy.special import softmax

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench.errors import DataError
from harmbench_builtin.harmonizers.manufacturers import (
    UNSEEN,
    check_choice,
    check_flag,
    check_number,
    check_text,
    known_groups,
    training_groups,
)
from harmbench_builtin.harmonizers.table_method import TableMethod
from harmbench_builtin.harmonizers.transport.coordinates import within_scale

EXTENSIONS = ("map", "nearest")
_ITERATIONS = 5_000
_STOP = 1e-8
_TOLERANCE = 1e-4
"""Root of the summed squared differences of the plan's column sums from the target's weights, which add up to 1."""


def squared_distances(rows: Floats, others: Floats) -> Floats:
    """Squared Euclidean distances (m, n), not below 0."""
    out = np.einsum("ij,ij->i", rows, rows)[:, None] - 2 * rows @ others.T + np.einsum("ij,ij->i", others, others)
    return np.maximum(out, 0)


def unit_of(cost: Floats) -> float:
    """Standard deviation of a cost after the means of its rows and columns are taken off; 1 where that is 0.

    Costs that depend on the row or the column alone change no plan, and in many dimensions they are nearly all of a
    distance. What is left is what the regularization has to be measured by.
    """
    inner = cost - cost.mean(axis=1, keepdims=True) - cost.mean(axis=0) + cost.mean()
    spread = float(inner.std())
    return spread if spread > 1e-12 * max(float(cost.max()), 1e-300) else 1.0


@dataclass(frozen=True)
class Plan:
    """Of the rows of one manufacturer to some target rows.

    Parameters
    ----------
    potential : float64 (n_target,)
        log v of the plan u_j v_k exp(-cost_jk / regularization).
    regularization : float
    target : float64 (n_target, p)
        In the features' own units.
    centre, scale : float64 (p,)
        What distances are measured from and by. The centre cancels in exact arithmetic; without it the differences of
        squares would lose their digits in features with a large offset.
    """

    potential: Floats
    regularization: float
    target: Floats
    centre: Floats
    scale: Floats

    def mapped(self, rows: Floats) -> Floats:
        """Each row as the mean of the target rows, weighted by the plan's conditional density at the row."""
        cost = squared_distances((rows - self.centre) / self.scale, (self.target - self.centre) / self.scale)
        return np.asarray(softmax(self.potential - cost / self.regularization, axis=1) @ self.target)


@dataclass(frozen=True)
class Way:
    """How the rows of one manufacturer move.

    Parameters
    ----------
    there : Plan
        To the common target.
    back : Plan or None
        To its own training rows; None without `debias`.
    source, shift : float64 (n, p)
        Training rows and by how much each moves, for `extension="nearest"`; else empty.
    """

    there: Plan
    back: Plan | None
    source: Floats
    shift: Floats

    def mapped(self, rows: Floats) -> Floats:
        """Rows after the move, by the plans' conditional densities."""
        moved = self.there.mapped(rows)
        return moved if self.back is None else rows + (moved - self.back.mapped(rows))

    def by_neighbour(self, rows: Floats) -> Floats:
        """Rows moved as the nearest training row moves."""
        centre, scale = self.there.centre, self.there.scale
        near = squared_distances((rows - centre) / scale, (self.source - centre) / scale).argmin(axis=1)
        return np.asarray(rows + self.shift[near])


class EntropicOt(TableMethod[dict[str, Way | None]]):
    """Optimal transport of a manufacturer's training rows to the target's, smoothed by entropy.

    The plan takes a row x to the mean T(x) of target rows, weighted by the plan (barycentric projection). Distances
    are Euclidean, in units of the within-manufacturer standard deviation of each feature. The target is the training
    rows of the reference, or all training rows with every manufacturer weighing the same.

    Parameters
    ----------
    reference : str, default ""
        Manufacturer to which the others are brought; its own rows stay as they are.
    regularization : float, default 1.0
        Weight of the entropy in units of what the cost varies by (see `unit_of`), so that it means the same for 10 and
        for 4000 features. 0.001 to 1000. The larger, the smoother the map; well below 1 each row goes its own way, to
        the few target rows that chance has put near it.
    debias : bool, default True
        A mean of rows varies less than rows do: T alone shrinks variance, and with many features most of what a row
        says of its patient is gone. True: the result is x + T(x) - T_0(x), T_0 the same map from the manufacturer to
        its own training rows, which shrinks alike. Rows of equal distributions then hardly move, and with a large
        regularization only means do. False: the result is T(x).
    extension : {"map", "nearest"}, default "map"
        Rows that the fit has not seen: `map` evaluates the plan's conditional density at them, which for training rows
        is the plan itself; `nearest` moves them as the nearest training row of their manufacturer moves. Without
        `debias` these are `out_of_sample_map="continuous"` and `"ferradans"` of POT's SinkhornTransport.
    unseen : {"error", "pooled"}, default "error"
        A row of a manufacturer that the fit has not seen raises `UnseenManufacturer`, or is returned as it is.

    Notes
    -----
    Needs two manufacturers, and two training rows of each. Time and memory grow with the square of the number of
    training rows.

    References
    ----------
    Cuturi (2013), arXiv:1306.0895; Courty, Flamary, Tuia, Rakotomamonjy (2017), doi:10.1109/TPAMI.2016.2615921;
    extension `map`: Pooladian, Niles-Weed (2021), arXiv:2109.12004; debiased map: Pooladian, Cuturi, Niles-Weed (2022),
    arXiv:2202.08919; POT: Flamary et al. (2021), JMLR 22(78).
    """

    name = "entropic-ot"

    def __init__(
        self,
        reference: str = "",
        regularization: float = 1.0,
        debias: bool = True,
        extension: str = "map",
        unseen: str = "error",
    ) -> None:
        super().__init__()
        self.reference = check_text(self.name, "reference", reference)
        self.regularization = check_number(self.name, "regularization", regularization, 0.001, 1000)
        self.debias = check_flag(self.name, "debias", debias)
        self.extension = check_choice(self.name, "extension", extension, EXTENSIONS)
        self.unseen = check_choice(self.name, "unseen", unseen, UNSEEN)

    @property
    def handles_unseen_manufacturer(self) -> bool:
        """With these parameters."""
        return self.unseen != "error"

    def learn(self, table: FeatureTable, context: Context) -> dict[str, Way | None]:
        """Solve for each manufacturer's plans; the reference has none.

        Raises
        ------
        DataError
            The iteration did not converge.
        """
        groups = training_groups(table, self.name, reference=self.reference, several=True)
        scale = within_scale(table.values, groups)
        if self.reference:
            rows = groups[self.reference]
            weights = np.full(len(rows), 1 / len(rows))
        else:
            rows = np.concatenate(list(groups.values()))
            weights = np.concatenate([np.full(len(g), 1 / (len(groups) * len(g))) for g in groups.values()])
        target, centre = table.values[rows], table.values[rows].mean(axis=0)
        found: dict[str, Way | None] = {}
        for name, own in groups.items():
            if name == self.reference:
                found[name] = None
                continue
            source = table.values[own]
            standard = (source - centre) / scale
            cost = squared_distances(standard, (target - centre) / scale)
            regularization = self.regularization * unit_of(cost)
            potential = _potential(cost, weights, regularization, name)
            there = Plan(potential, regularization, target, centre, scale)
            back: Plan | None = None
            if self.debias:
                even = np.full(len(own), 1 / len(own))
                potential = _potential(squared_distances(standard, standard), even, regularization, name)
                back = Plan(potential, regularization, source, centre, scale)
            way = Way(there, back, source[:0], source[:0])
            found[name] = way if self.extension == "map" else Way(there, back, source, way.mapped(source) - source)
        return found

    def apply(self, state: dict[str, Way | None], table: FeatureTable) -> Floats:
        out = table.values.copy()
        for name, rows in known_groups(table, tuple(state), self.name, self.unseen):
            way = None if name is None else state[name]
            if way is not None:
                out[rows] = (way.mapped if self.extension == "map" else way.by_neighbour)(table.values[rows])
        return out


def _potential(cost: Floats, weights: Floats, regularization: float, name: str) -> Floats:
    """log v of the plan from evenly weighted rows to weighted target rows."""
    with np.errstate(over="ignore"):  # POT also reports exp of the potentials, which may overflow; it is not used
        _, log = sinkhorn_log(
            np.full(len(cost), 1 / len(cost)),
            weights,
            cost,
            regularization,
            numItermax=_ITERATIONS,
            stopThr=_STOP,
            log=True,
            warn=False,
        )
    if not log["err"][-1] <= _TOLERANCE:
        raise DataError(
            f"entropic-ot: the plan of manufacturer '{name}' misses its weights by {log['err'][-1]:.1e} after "
            f"{_ITERATIONS} iterations.",
            remedy="Raise entropic-ot.regularization.",
        )
    return np.asarray(log["log_v"])
