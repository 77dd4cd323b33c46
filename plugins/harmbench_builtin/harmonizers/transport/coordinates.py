"""Means and covariances of manufacturers in as few dimensions as their training rows span.

With p features and n rows the covariances have rank below n. All of them act as shrinkage times the identity on the
directions that no training row reaches, so everything is computed in an orthonormal basis of the others: min(n, p)
dimensions instead of p.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harmbench.data import Floats
from harmbench_builtin.harmonizers.manufacturers import Positions


@dataclass(frozen=True)
class Coordinates:
    """Standardized features and a basis.

    Parameters
    ----------
    means : float64 (L, p)
        Of each manufacturer, in the features' own units.
    scale : float64 (p,)
        See `within_scale`.
    basis : float64 (p, r) or None
        Orthonormal columns; None for the features themselves (r = p).
    covariances : float64 (L, r, r)
        (1 - shrinkage) C_i + shrinkage I, C_i the covariance of the standardized features (divisor n_i - 1).
    """

    means: Floats
    scale: Floats
    basis: Floats | None
    covariances: Floats

    def move(self, rows: Floats, mean: Floats, operator: Floats, target: Floats) -> Floats:
        """Rows through x -> target + (x - mean) / scale @ operator * scale.

        Parameters
        ----------
        rows : float64 (m, p)
        mean, target : float64 (p,)
        operator : float64 (r, r)
            Acts on row vectors in the basis; directions outside it stay.
        """
        z = (rows - mean) / self.scale
        if self.basis is None:
            z = z @ operator
        else:
            inside = z @ self.basis
            z += (inside @ operator - inside) @ self.basis.T
        z *= self.scale
        z += target
        return z


def within_scale(values: Floats, groups: dict[str, Positions]) -> Floats:
    """Root of the within-manufacturer variance, averaged over manufacturers with equal weights; 1 where it is 0.

    Parameters
    ----------
    values : float64 (n, p)
    groups : mapping
        The rows of each manufacturer, at least two each.
    """
    parts = [values[rows] for rows in groups.values()]
    constant = np.all([part.max(axis=0) == part.min(axis=0) for part in parts], axis=0)
    scale = np.sqrt(np.mean([part.var(axis=0, ddof=1) for part in parts], axis=0))
    return np.where(constant | (scale == 0), 1.0, scale)


def coordinates(values: Floats, groups: dict[str, Positions], shrinkage: float) -> Coordinates:
    """What `Coordinates` holds, from training rows.

    Parameters
    ----------
    values : float64 (n, p)
    groups : mapping
        The rows of each manufacturer, at least two each.
    shrinkage : float
        In (0, 1].
    """
    parts = [values[rows] for rows in groups.values()]
    means = np.stack([part.mean(axis=0) for part in parts])
    scale = within_scale(values, groups)
    centred = [(part - mean) / scale for part, mean in zip(parts, means, strict=True)]
    n, p = values.shape
    basis: Floats | None = None
    if n < p:
        basis = np.linalg.qr(np.concatenate(centred).T)[0]
        centred = [part @ basis for part in centred]
    identity = np.eye(p if basis is None else basis.shape[1])
    covariances = np.stack(
        [(1 - shrinkage) * (part.T @ part) / (len(part) - 1) + shrinkage * identity for part in centred]
    )
    return Coordinates(means, scale, basis, covariances)


def power(symmetric: Floats, exponent: float) -> Floats:
    """A power of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(symmetric)
    # Rounding may take the smallest eigenvalues of a badly conditioned matrix below 0.
    values = np.maximum(values, values[-1] * 1e-15)
    return (vectors * values**exponent) @ vectors.T
