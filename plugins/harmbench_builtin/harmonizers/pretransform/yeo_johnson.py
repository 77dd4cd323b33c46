"""`yeo-johnson`: the power transform that makes each feature as normal as a power can."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench_builtin.harmonizers.pretransform import power
from harmbench_builtin.harmonizers.robust import centre_and_scale
from harmbench_builtin.harmonizers.table_method import TableMethod


@dataclass(frozen=True)
class PowerState:
    """What `yeo-johnson` learns of each feature; all are float64 (p,).

    Parameters
    ----------
    centre, scale : array
        Median and spread of the raw values.
    exponent : array
    mean, sd : array
        Of the transformed training rows (sd 1 where they do not vary).
    """

    centre: Floats
    scale: Floats
    exponent: Floats
    mean: Floats
    sd: Floats


class YeoJohnson(TableMethod[PowerState]):
    """Yeo and Johnson's power transform, one exponent per feature by maximum likelihood on the training rows.

    It knows nothing of manufacturers, so it serves any of them. Each feature is first brought to median 0 and unit
    spread (`robust.centre_and_scale`): the transform bends values at 1, so on raw values it could do nothing for a
    feature of the order of 1e-4 or one whose values lie between 1000 and 1010. The result has mean 0 and standard
    deviation 1 over the training rows.

    Exponents stay within [-8, 10]. A feature that is constant in the training rows gets exponent 1.

    References
    ----------
    Yeo, Johnson (2000), doi:10.1093/biomet/87.4.954.
    """

    name = "yeo-johnson"

    def learn(self, table: FeatureTable, context: Context) -> PowerState:
        centre, scale = centre_and_scale(table.values)
        exponent = power.exponents(table.values, centre, scale)
        bent = power.transform(table.values, centre, scale, exponent)
        mean, sd = bent.mean(axis=0), bent.std(axis=0)
        constant = table.values.max(axis=0) == table.values.min(axis=0)
        return PowerState(centre, scale, exponent, mean, np.where(constant | (sd == 0), 1.0, sd))

    def apply(self, state: PowerState, table: FeatureTable) -> Floats:
        out = power.transform(table.values, state.centre, state.scale, state.exponent)
        out -= state.mean
        out /= state.sd
        return out
