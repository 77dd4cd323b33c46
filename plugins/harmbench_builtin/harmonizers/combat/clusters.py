"""`autocombat`: the batches are clusters of acquisition or image-level quantities, not manufacturers.

A row is assigned to a cluster by its own quantities, so a scanner that no training row came from needs no policy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import NotApplicable
from harmbench_builtin.harmonizers.checks import require_finite
from harmbench_builtin.harmonizers.combat import engine
from harmbench_builtin.harmonizers.combat.design import Code, Floats, encode, learn_codes
from harmbench_builtin.harmonizers.combat.model import (
    Model,
    adjust,
    check_flags,
    check_number,
    check_rows,
    check_texts,
    fitted_or_raise,
    learn,
    select,
)

FIRST_ORDER = "firstorder"
_STARTS = 10


@dataclass(frozen=True)
class Clusters:
    """Groups of rows by quantities of their own.

    Parameters
    ----------
    columns : int (u,)
        Feature columns used; empty when covariates are.
    codes : tuple of Code
        How covariates are coded.
    centre, scale : float64 (u,)
        Of the quantities in the training rows.
    centres : float64 (k, u)
        Standardised.
    """

    columns: npt.NDArray[np.intp]
    codes: tuple[Code, ...]
    centre: Floats
    scale: Floats
    centres: Floats

    def assign(self, table: FeatureTable) -> npt.NDArray[np.str_]:
        """The nearest cluster of each row, "1" to "k"."""
        z = (_quantities(table, self.columns, self.codes) - self.centre) / self.scale
        distance = np.stack([((z - centre) ** 2).sum(axis=1) for centre in self.centres])
        return (distance.argmin(axis=0) + 1).astype(str)


def _quantities(table: FeatureTable, columns: npt.NDArray[np.intp], codes: tuple[Code, ...]) -> Floats:
    if codes:
        return encode(codes, table.covariates, table.samples).columns
    return table.values[:, columns]


def find(
    table: FeatureTable, columns: npt.NDArray[np.intp], codes: tuple[Code, ...], most: int, least_rows: int, seed: int
) -> Clusters:
    """k-means for every allowed number of clusters; the one of highest silhouette.

    Only clusterings are considered whose smallest cluster holds at least `least_rows` rows.

    Raises
    ------
    NotApplicable
        The quantities do not vary, or no clustering has clusters that are large enough.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    raw = _quantities(table, columns, codes)
    centre, scale = raw.mean(axis=0), raw.std(axis=0)
    varies = scale > 1e-12 * (np.abs(centre) + scale)
    if not varies.any():
        raise NotApplicable("autocombat: the quantities to cluster by have the same value in all training rows")
    z = np.where(varies, (raw - centre) / np.where(varies, scale, 1.0), 0.0)
    distinct = len(np.unique(z, axis=0))
    best: tuple[float, Floats] | None = None
    for k in range(2, min(most, len(z) // least_rows, distinct) + 1):
        means = KMeans(k, n_init=_STARTS, random_state=seed).fit(z)
        if np.bincount(means.labels_, minlength=k).min() < least_rows or k == len(z):
            continue
        score = float(silhouette_score(z, means.labels_))
        if best is None or score > best[0]:
            best = (score, np.asarray(means.cluster_centers_, dtype=np.float64))
    if best is None:
        raise NotApplicable(
            f"autocombat finds no two clusters of at least {least_rows} rows each among {len(z)} training rows"
        )
    # A quantity that does not vary in training tells no clusters apart; a new value of it must not either.
    scale = np.where(varies, scale, np.inf)
    return Clusters(columns, codes, centre, scale, best[1][np.lexsort(best[1].T[::-1])])


class AutoCombat:
    """ComBat on clusters of acquisition or image-level quantities.

    Parameters
    ----------
    by : str, default "firstorder"
        What to cluster: "firstorder" (all first-order features: the grey levels of the region), "features" (all
        features), or the names of covariates separated by commas (acquisition settings).
    max_clusters : int, default 10
    min_rows : int, default 10
        Training rows that the smallest cluster must have.
    covariates : str, default "none"
        Effects to keep, as in `Combat`.
    parametric, eb, mean_only
        As in `Combat`.

    Notes
    -----
    Quantities are standardised; categories are 0/1 columns. The number of clusters is the one of highest silhouette
    among clusterings whose clusters are large enough; the published code forces a smallest size on k-means instead.
    Clusters of features may follow the disease as well as the scanner: prefer acquisition covariates if there are any.

    References
    ----------
    Carré et al. (2022), doi:10.1038/s41598-022-16609-1.
    """

    name = "autocombat"

    def __init__(
        self,
        by: str = FIRST_ORDER,
        max_clusters: int = 10,
        min_rows: int = 10,
        covariates: str = "none",
        parametric: bool = True,
        eb: bool = True,
        mean_only: bool = False,
    ) -> None:
        check_texts(self.name, by=by, covariates=covariates)
        check_number(self.name, "max_clusters", max_clusters, 2, whole=True)
        check_number(self.name, "min_rows", min_rows, 2, whole=True)
        check_flags(self.name, parametric=parametric, eb=eb, mean_only=mean_only)
        self.by, self.max_clusters, self.min_rows, self.covariates = by, max_clusters, min_rows, covariates
        self.options = engine.Options(parametric, eb, mean_only, unit="cluster")
        self._fitted: tuple[Clusters, Model] | None = None

    def fit(self, table: FeatureTable, context: Context) -> AutoCombat:
        """Learn clusters and their effects from these rows only.

        Parameters
        ----------
        table : FeatureTable
            Training rows; neither label nor manufacturer is looked at.
        context : Context
            Seeds the starts of k-means.

        Raises
        ------
        NotApplicable
            Nothing to cluster by, or no clusters.
        """
        self._fitted = None
        require_finite(table, self.name)
        columns, codes = self._quantities(table)
        seed = int(context.rng(step="clusters").integers(2**31))
        clusters = find(table, columns, codes, self.max_clusters, self.min_rows, seed)
        used = {code.name for code in codes}
        chosen = [c for c in select(self.name, "covariates", self.covariates, table.covariates) if c not in used]
        model = learn(table, self.name, chosen, self.options, batch=clusters.assign(table))
        self._fitted = (clusters, model)
        return self

    def _quantities(self, table: FeatureTable) -> tuple[npt.NDArray[np.intp], tuple[Code, ...]]:
        if self.by in (FIRST_ORDER, "features"):
            found = [j for j, name in enumerate(table.features) if self.by != FIRST_ORDER or f"_{FIRST_ORDER}_" in name]
            if not found:
                raise NotApplicable(
                    f"{self.name} clusters first-order features, and these data have none; name covariates or take all "
                    f"features with {self.name}.by"
                )
            return np.array(found, dtype=np.intp), ()
        names = select(self.name, "by", self.by, table.covariates)
        if not names:
            raise NotApplicable(f"{self.name}.by names nothing to cluster by, or these data have no covariates")
        return np.zeros(0, np.intp), learn_codes({n: table.covariates[n] for n in names}, table.samples)

    @property
    def clusters(self) -> Clusters:
        """The clusters of the last fit."""
        return fitted_or_raise(self._fitted, self.name)[0]

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Adjust each row by itself, as the cluster that it lies in.

        Raises
        ------
        DataError
            Non-finite values, other features than in the fit, a covariate missing or of an unseen level.
        """
        clusters, model = fitted_or_raise(self._fitted, self.name)
        check_rows(table, model.features, self.name)
        return adjust(model, table, batch=clusters.assign(table))
