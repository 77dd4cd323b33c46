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
    check_number,
    check_text,
    known_groups,
    training_groups,
)
from harmbench_builtin.harmonizers.table_method import TableMethod
from harmbench_builtin.harmonizers.transport.coordinates import within_scale

EXTENSIONS = ("map", "nearest")
_ITERATIONS = 5_000
_STOP = 1e-9
_TOLERANCE = 1e-6


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
    """Of one manufacturer to the target.

    Parameters
    ----------
    potential : float64 (n_target,)
        log v of the plan u_j v_k exp(-cost_jk / regularization).
    regularization : float
    source, moved : float64 (n_i, p)
        Its training rows, and where they go; kept for `extension="nearest"` only, else empty.
    """

    potential: Floats
    regularization: float
    source: Floats
    moved: Floats


@dataclass(frozen=True)
class Transport:
    """What `entropic-ot` learns.

    Parameters
    ----------
    target : float64 (n_target, p)
        Rows in the features' own units.
    centre, scale : float64 (p,)
        What distances are measured from and by. The centre cancels in exact arithmetic; without it the differences of
        squares would lose their digits in features with a large offset.
    plans : mapping of manufacturer to Plan
    """

    target: Floats
    centre: Floats
    scale: Floats
    plans: dict[str, Plan]

    def cost(self, rows: Floats, others: Floats) -> Floats:
        """Squared distances of standardized rows."""
        return squared_distances((rows - self.centre) / self.scale, (others - self.centre) / self.scale)

    def mapped(self, plan: Plan, rows: Floats) -> Floats:
        """Each row as the mean of the target rows, weighted by the plan's conditional density at the row."""
        weights = softmax(plan.potential - self.cost(rows, self.target) / plan.regularization, axis=1)
        return np.asarray(weights @ self.target)


class EntropicOt(TableMethod[Transport]):
    """Optimal transport of a manufacturer's training rows to the target's, smoothed by entropy.

    Rows become the mean of target rows, weighted by the plan (barycentric projection). Distances are Euclidean, in
    units of the within-manufacturer standard deviation of each feature. The target is the training rows of the
    reference, or all training rows with every manufacturer weighing the same.

    Parameters
    ----------
    reference : str, default ""
        Manufacturer to which the others are brought; its own rows stay as they are.
    regularization : float, default 0.1
        Weight of the entropy in units of what the cost varies by (see `unit_of`), so that it means the same for 10 and
        for 4000 features. 0.001 to 1000. The larger, the more all rows become the mean of the target.
    extension : {"map", "nearest"}, default "map"
        Rows that the fit has not seen: `map` evaluates the plan's conditional density at them, which for training rows
        is the plan itself; `nearest` moves them as the nearest training row of their manufacturer moves. These are
        `out_of_sample_map="continuous"` and `"ferradans"` of POT's SinkhornTransport.
    unseen : {"error", "pooled"}, default "error"
        A row of a manufacturer that the fit has not seen raises `UnseenManufacturer`, or is returned as it is.

    Notes
    -----
    A mean of rows varies less than rows do: every plan that is not one-to-one shrinks variance, the more the larger the
    regularization and the more features there are. Watch the integrity metrics. Needs two manufacturers, and two
    training rows of each. Time and memory grow with the square of the number of training rows.

    References
    ----------
    Cuturi (2013), arXiv:1306.0895; Courty, Flamary, Tuia, Rakotomamonjy (2017), doi:10.1109/TPAMI.2016.2615921;
    extension `map`: Pooladian, Niles-Weed (2021), arXiv:2109.12004; POT: Flamary et al. (2021), JMLR 22(78).
    """

    name = "entropic-ot"

    def __init__(
        self, reference: str = "", regularization: float = 0.1, extension: str = "map", unseen: str = "error"
    ) -> None:
        super().__init__()
        self.reference = check_text(self.name, "reference", reference)
        self.regularization = check_number(self.name, "regularization", regularization, 0.001, 1000)
        self.extension = check_choice(self.name, "extension", extension, EXTENSIONS)
        self.unseen = check_choice(self.name, "unseen", unseen, UNSEEN)

    @property
    def handles_unseen_manufacturer(self) -> bool:
        """With these parameters."""
        return self.unseen != "error"

    def learn(self, table: FeatureTable, context: Context) -> Transport:
        """Solve for each manufacturer's plan.

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
        target = table.values[rows]
        found = Transport(target, target.mean(axis=0), scale, {})
        for name, own in groups.items():
            if name != self.reference:
                found.plans[name] = self._plan(table.values[own], found, weights, name)
        return found

    def _plan(self, source: Floats, transport: Transport, weights: Floats, name: str) -> Plan:
        cost = transport.cost(source, transport.target)
        regularization = self.regularization * unit_of(cost)
        with np.errstate(over="ignore"):  # POT also reports exp of the potentials, which may overflow; it is not used
            _, log = sinkhorn_log(
                np.full(len(source), 1 / len(source)),
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
        plan = Plan(np.asarray(log["log_v"]), regularization, source[:0], source[:0])
        if self.extension == "map":
            return plan
        return Plan(plan.potential, regularization, source, transport.mapped(plan, source))

    def apply(self, state: Transport, table: FeatureTable) -> Floats:
        out = table.values.copy()
        known = tuple(sorted({*state.plans, *([self.reference] if self.reference else [])}))
        for name, rows in known_groups(table, known, self.name, self.unseen):
            if name is None or name == self.reference:
                continue
            plan = state.plans[name]
            if self.extension == "map":
                out[rows] = state.mapped(plan, table.values[rows])
            else:
                near = state.cost(table.values[rows], plan.source).argmin(axis=1)
                out[rows] += plan.moved[near] - plan.source[near]
        return out
