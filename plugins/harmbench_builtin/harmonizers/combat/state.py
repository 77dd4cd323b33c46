"""Which ComBat, and what its fit has learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmbench_builtin.harmonizers.combat.design import Floats


@dataclass(frozen=True)
class Options:
    """Which ComBat.

    Parameters
    ----------
    parametric : bool, default True
        Parametric prior; False: the empirical one of the other features.
    eb : bool, default True
        False: each feature's own estimates, without shrinkage.
    mean_only : bool, default False
        Adjust locations only.
    reference : str, default ""
        Manufacturer whose rows stay as they are and to which the others are brought; "": all meet in the middle.
    unit : str, default "manufacturer"
        What messages call a group, where the groups are not manufacturers.
    """

    parametric: bool = True
    eb: bool = True
    mean_only: bool = False
    reference: str = ""
    unit: str = "manufacturer"


@dataclass(frozen=True)
class Fitted:
    """What the training rows taught.

    Parameters
    ----------
    batches : tuple of str, length L
        Manufacturers of the fit, sorted.
    grand_mean : float64 (p,)
        Location of a row whose coded covariates are 0.
    coefficients : float64 (q, p)
        Covariate effects.
    pooled_variance : float64 (p,)
        Residual variance (divisor n; of the reference alone if there is one). 1 where it is zero.
    gamma_star : float64 (L, p)
        Locations in units of the pooled standard deviation.
    delta_star : float64 (L, p)
        Variances in units of the pooled variance.
    location_only : bool (p,)
        Features without variation, adjusted by plain means.
    reference : str
    covariates : tuple of str, length q
    removed : tuple of str
        Those of the covariates whose effect is taken out; all others are kept in the adjusted values.
    unit : str
    """

    batches: tuple[str, ...]
    grand_mean: Floats
    coefficients: Floats
    pooled_variance: Floats
    gamma_star: Floats
    delta_star: Floats
    location_only: npt.NDArray[np.bool_]
    reference: str
    covariates: tuple[str, ...]
    removed: tuple[str, ...] = ()
    unit: str = "manufacturer"
