"""`coral` and `linear-ot`: linear maps that give every manufacturer the same mean and covariance."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

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
from harmbench_builtin.harmonizers.transport.coordinates import Coordinates, coordinates, power

_ITERATIONS = 200
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class LinearMaps:
    """A map per manufacturer.

    Parameters
    ----------
    manufacturers : tuple of str, length L
    space : Coordinates
    operators : float64 (L, r, r)
        Act on row vectors, z @ operator.
    target : float64 (p,)
        The common mean.
    """

    manufacturers: tuple[str, ...]
    space: Coordinates
    operators: Floats
    target: Floats


class GaussianMethod(TableMethod[LinearMaps]):
    """What `coral` and `linear-ot` share: parameters, coordinates, and moving rows.

    Parameters
    ----------
    reference : str, default ""
        Manufacturer to which the others are brought; its own rows stay as they are. Without one the target has the
        mean of the manufacturers' means, each weighing the same whatever its number of rows.
    shrinkage : float, default 0.5
        Each covariance of the standardized features becomes (1 - shrinkage) C + shrinkage I. In (0, 1]; 1 leaves only
        the shift of means.
    unseen : {"error", "pooled"}, default "error"
        A row of a manufacturer that the fit has not seen raises `UnseenManufacturer`, or is returned as it is.
    """

    def __init__(self, reference: str = "", shrinkage: float = 0.5, unseen: str = "error") -> None:
        super().__init__()
        self.reference = check_text(self.name, "reference", reference)
        self.shrinkage = check_number(self.name, "shrinkage", shrinkage, 1e-9, 1)
        self.unseen = check_choice(self.name, "unseen", unseen, UNSEEN)

    @property
    def handles_unseen_manufacturer(self) -> bool:
        """With these parameters."""
        return self.unseen != "error"

    @abstractmethod
    def operators(self, covariances: Floats, reference: int | None) -> Floats:
        """The maps (L, r, r) of the manufacturers' covariances (L, r, r) to a common one."""

    def learn(self, table: FeatureTable, context: Context) -> LinearMaps:
        groups = training_groups(table, self.name, reference=self.reference, several=True)
        names = tuple(groups)
        space = coordinates(table.values, groups, self.shrinkage)
        reference = names.index(self.reference) if self.reference else None
        target = space.means.mean(axis=0) if reference is None else space.means[reference]
        return LinearMaps(names, space, self.operators(space.covariances, reference), target)

    def apply(self, state: LinearMaps, table: FeatureTable) -> Floats:
        out = table.values.copy()
        for name, rows in known_groups(table, state.manufacturers, self.name, self.unseen):
            if name is None or name == self.reference:
                continue
            i = state.manufacturers.index(name)
            out[rows] = state.space.move(table.values[rows], state.space.means[i], state.operators[i], state.target)
        return out


class Coral(GaussianMethod):
    """CORAL: rows are whitened with the covariance of their manufacturer and coloured with the target's.

    z -> z S_i^(-1/2) S^(1/2), z the row less its manufacturer's mean, in units of the within-manufacturer standard
    deviation; S_i shrunk towards the identity (see `shrinkage`), S that of the reference, or the mean of all S_i, each
    manufacturer weighing the same. The default shrinkage of 0.5 is the published method on standardized features,
    which adds the identity to both covariances (a common factor of S_i and S cancels).

    Notes
    -----
    The published method aligns covariances alone; here means are aligned, too. With fewer rows than features all is
    computed in the space that the rows span, which gives the same numbers. Needs two manufacturers, and two training
    rows of each. Features that are constant at every manufacturer are only shifted.

    References
    ----------
    Sun, Feng, Saenko (2016), Return of frustratingly easy domain adaptation, arXiv:1511.05547.
    """

    name = "coral"

    def operators(self, covariances: Floats, reference: int | None) -> Floats:
        target = covariances.mean(axis=0) if reference is None else covariances[reference]
        colour = power(target, 0.5)
        return np.stack([power(own, -0.5) @ colour for own in covariances])


def transport(source: Floats, target: Floats) -> Floats:
    """The symmetric matrix A with A source A = target: optimal transport between centred normal distributions.

    A = S^(-1/2) (S^(1/2) T S^(1/2))^(1/2) S^(-1/2); see Peyre and Cuturi (2019), Computational Optimal Transport,
    remark 2.31.
    """
    root, inverse = power(source, 0.5), power(source, -0.5)
    return inverse @ power(root @ target @ root, 0.5) @ inverse


def barycentre(covariances: Floats) -> Floats:
    """The covariance whose mean squared Bures-Wasserstein distance to these (L, r, r) is smallest.

    Fixed-point iteration of Alvarez-Esteban, del Barrio, Cuesta-Albertos, Matran (2016), theorem 4.2,
    doi:10.1016/j.jmaa.2016.04.045.

    Raises
    ------
    DataError
        No convergence.
    """
    found = covariances.mean(axis=0)
    for _ in range(_ITERATIONS):
        root, inverse = power(found, 0.5), power(found, -0.5)
        mean = np.mean([power(root @ one @ root, 0.5) for one in covariances], axis=0)
        moved = inverse @ mean @ mean @ inverse
        change = float(np.linalg.norm(moved - found) / np.linalg.norm(found))
        found = (moved + moved.T) / 2
        if change < _TOLERANCE:
            return found
    raise DataError(
        f"linear-ot: the barycentre of {len(covariances)} covariances did not converge in {_ITERATIONS} iterations "
        f"(last change {change:.1e}).",
        remedy="Raise linear-ot.shrinkage, or name a linear-ot.reference.",
    )


class LinearOt(GaussianMethod):
    """Optimal transport between normal distributions: the linear map that moves rows least among those that do the job.

    z -> z A_i, z as in `Coral`, A_i = S_i^(-1/2) (S_i^(1/2) S S_i^(1/2))^(1/2) S_i^(-1/2); S is the covariance of the
    reference, or the Bures-Wasserstein barycentre of the manufacturers', each weighing the same. Unlike whitening and
    colouring, A_i is symmetric and does not rotate features into one another more than it must.

    Notes
    -----
    For two manufacturers the barycentre is halfway along the map between them, A_1 = (I + A_12) / 2; for more it is
    found by iteration. With fewer rows than features all is computed in the space that the rows span, which gives the
    same numbers. Needs two manufacturers, and two training rows of each. Features that are constant at every
    manufacturer are only shifted.

    References
    ----------
    Peyre, Cuturi (2019), Computational Optimal Transport, doi:10.1561/2200000073, section 2.6; barycentre:
    doi:10.1016/j.jmaa.2016.04.045.
    """

    name = "linear-ot"

    def operators(self, covariances: Floats, reference: int | None) -> Floats:
        if reference is not None:
            return np.stack([transport(own, covariances[reference]) for own in covariances])
        if len(covariances) == 2:
            there = transport(covariances[0], covariances[1])
            identity = np.eye(len(there))
            return np.stack([(identity + there) / 2, (identity + power(there, -1)) / 2])
        common = barycentre(covariances)
        return np.stack([transport(own, common) for own in covariances])
