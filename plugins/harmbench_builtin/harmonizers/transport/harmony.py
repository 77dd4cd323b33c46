"""`harmony`: Harmony's corrected principal components, carried back to the features (an optional extra)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from harmonypy import run_harmony  # the extra `harmony` (GPL-3); this module is imported when the method first runs

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench.errors import NotApplicable
from harmbench_builtin.harmonizers.manufacturers import check_number, training_groups
from harmbench_builtin.harmonizers.scaling.harmonizers import mean_and_sd
from harmbench_builtin.harmonizers.table_method import TableMethod


@dataclass(frozen=True)
class Shifts:
    """By how much each row of the fit moves.

    Parameters
    ----------
    place : mapping of sample id to row
    shift : float64 (n, k)
        Of each row, in principal components.
    back : float64 (k, p)
        Principal components to features in their own units.
    """

    place: dict[str, int]
    shift: Floats
    back: Floats


class Harmony(TableMethod[Shifts]):
    """Harmony: soft clusters in which manufacturers mix, and a correction per cluster and manufacturer. Transductive.

    Harmony corrects an embedding, not features. Here the rows, each feature at mean 0 and standard deviation 1, are
    projected to their first principal components; harmonypy corrects these; and the correction of each row (corrected
    less original components) is carried back through the loadings and added to its features. What the components do
    not hold stays as it was, and so do manufacturer effects in it.

    Parameters
    ----------
    components : int, default 20
        Principal components; at most rows - 1 and the number of features. 1 to 1000.
    theta : float, default 2.0
        Weight of the penalty on clusters of one manufacturer. 0 to 1000.
    sigma : float, default 0.1
        Width of the soft clusters. 0.001 to 1000.
    clusters : int, default 0
        Number of clusters; 0: one for 30 rows, at least 2 and at most 100.

    Notes
    -----
    It has no map for new rows: `fit` must see the very rows that are to be transformed, so in a run it is fitted on
    training and test rows together, is marked as transductive, and is not ranked. Rows are known by their sample id.
    Needs two manufacturers.

    harmonypy is licensed under the GPL 3 or later; it is not part of harmbench, is installed only when asked for, and
    is imported only when this method runs.

    References
    ----------
    Korsunsky et al. (2019), doi:10.1038/s41592-019-0619-0.
    """

    name = "harmony"

    def __init__(self, components: int = 20, theta: float = 2.0, sigma: float = 0.1, clusters: int = 0) -> None:
        super().__init__()
        self.components = int(check_number(self.name, "components", components, 1, 1000, whole=True))
        self.theta = check_number(self.name, "theta", theta, 0, 1000)
        self.sigma = check_number(self.name, "sigma", sigma, 0.001, 1000)
        self.clusters = int(check_number(self.name, "clusters", clusters, 0, 10_000, whole=True))

    def learn(self, table: FeatureTable, context: Context) -> Shifts:
        training_groups(table, self.name, least=1, several=True)
        n, p = table.values.shape
        mean, sd = mean_and_sd(table.values)
        left, sizes, loadings = np.linalg.svd((table.values - mean) / sd, full_matrices=False)
        k = min(self.components, n - 1, p, int(np.count_nonzero(sizes > 1e-10 * sizes[0])))
        if k < 1:
            raise NotApplicable("harmony: no feature varies, so there is nothing to correct")
        # The sign of a component is arbitrary; fixing it makes results the same wherever they are computed.
        signs = np.sign(loadings[np.arange(k), np.abs(loadings[:k]).argmax(axis=1)])
        embedded = left[:, :k] * sizes[:k] * signs
        corrected = run_harmony(
            embedded,
            {"manufacturer": table.manufacturer.astype(object)},
            "manufacturer",
            theta=self.theta,
            sigma=self.sigma,
            nclust=min(self.clusters or max(2, min(round(n / 30), 100)), n),
            verbose=False,
            random_state=context.derive(method="harmony").seed % 2**31,
            ncores=context.n_jobs,
        ).Z_corr
        shift = np.asarray(corrected, dtype=np.float64) - embedded
        place = {sample: i for i, sample in enumerate(table.samples.tolist())}
        return Shifts(place, shift, loadings[:k] * signs[:, None] * sd)

    def apply(self, state: Shifts, table: FeatureTable) -> Floats:
        """Move rows that were in the fit.

        Raises
        ------
        NotApplicable
            A row was not.
        """
        strange = [sample for sample in table.samples.tolist() if sample not in state.place]
        if strange:
            raise NotApplicable(
                f"harmony has no map for rows outside its fit, such as sample '{strange[0]}' "
                f"({len(strange)} of {len(table)} rows)"
            )
        rows = np.array([state.place[sample] for sample in table.samples.tolist()], dtype=np.intp)
        return np.asarray(table.values + state.shift[rows] @ state.back)
