"""Each package's ComBat, called as its documentation says, on the training rows."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from harmbench import Context, DataError, FeatureTable, NotApplicable, UnseenManufacturer
from harmbench_combat_backends.affine import Floats, Lines, lines_through

Texts = npt.NDArray[np.str_]


class Backend:
    """What all share: checks, the package's call on the training rows, its lines applied to any rows."""

    package = ""

    def __init__(self, **params: Any) -> None:
        self.params = params
        self._fitted: tuple[tuple[str, ...], Lines] | None = None

    def harmonize(self, values: Floats, manufacturer: Texts, samples: Texts) -> Floats:
        """The package's harmonized training rows, (n, p)."""
        raise NotImplementedError

    def fit(self, table: FeatureTable, context: Context) -> Self:
        """Harmonize the training rows with the package and keep the lines that it drew.

        Raises
        ------
        NotApplicable
            Fewer than two manufacturers, or one with a single row.
        DataError
            Values that are not finite, or that the package cannot deal with.
        """
        self._require_finite(table)
        for name in table.manufacturers:
            if int((table.manufacturer == name).sum()) < 2:
                raise NotApplicable(f"{self.package} needs two rows of every manufacturer; '{name}' has one")
        if len(table.manufacturers) < 2:
            raise NotApplicable(f"{self.package} needs two manufacturers; there is only {table.manufacturers}")
        flat = np.flatnonzero(np.ptp(table.values, axis=0) == 0)
        if len(flat):
            raise DataError(
                f"{self.package} cannot harmonize feature '{table.features[flat[0]]}', which is constant in the "
                "training rows.",
                remedy="Leave the feature out, or use the built-in combat.",
            )
        # The packages report progress on standard output, which belongs to the command.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            done = np.asarray(self.harmonize(table.values.copy(), table.manufacturer, table.samples), dtype=np.float64)
        bad = np.argwhere(~np.isfinite(done))
        if len(bad):
            row, column = bad[0]
            raise DataError(
                f"{self.package} made {len(bad)} values non-finite, first of feature '{table.features[column]}' of "
                f"sample '{table.samples[row]}' ({table.manufacturer[row]}).",
                remedy="Leave the feature out, or use the built-in combat.",
            )
        self._fitted = (table.features, lines_through(table.values, done, table.manufacturer, self.package))
        return self

    def _require_finite(self, table: FeatureTable) -> None:
        bad = np.argwhere(~np.isfinite(table.values))
        if len(bad):
            row, column = bad[0]
            raise DataError(
                f"{self.package} needs finite values; feature '{table.features[column]}' of sample "
                f"'{table.samples[row]}' is {table.values[row, column]}.",
                remedy="Leave the sample or the feature out.",
            )

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Put rows on the lines of their manufacturers.

        Raises
        ------
        UnseenManufacturer
        DataError
            Values that are not finite, or other features than in the fit.
        """
        if self._fitted is None:
            raise DataError(f"{self.package} has not been fitted.", remedy="Call fit before transform.")
        features, lines = self._fitted
        self._require_finite(table)
        if table.features != features:
            raise DataError(f"{self.package} got other features than in the fit.", remedy="Fit on the same columns.")
        for name in table.manufacturers:
            if name not in lines.slope:
                raise UnseenManufacturer(f"{self.package} was fitted on {', '.join(lines.slope)}, not on '{name}'")
        return table.with_values(lines.apply(table.values, table.manufacturer))


class NeuroCombat(Backend):
    """neuroCombat (Fortin et al.): `neuroCombat(dat, covars, batch_col)`.

    Parameters
    ----------
    parametric, mean_only, eb : bool
        As there.
    """

    package = "neuroCombat"

    def __init__(self, parametric: bool = True, mean_only: bool = False, eb: bool = True) -> None:
        super().__init__(parametric=parametric, mean_only=mean_only, eb=eb)

    def harmonize(self, values: Floats, manufacturer: Texts, samples: Texts) -> Floats:
        import pandas as pd
        from neuroCombat import neuroCombat

        covars = pd.DataFrame({"batch": manufacturer})
        # An array, not a DataFrame: that one would be cast to float32.
        found = neuroCombat(dat=values.T, covars=covars, batch_col="batch", **self.params)
        return np.asarray(found["data"], dtype=np.float64).T


class NeuroHarmonize(Backend):
    """neuroHarmonize (Pomponio et al.): `harmonizationLearn(data, covars)`.

    Parameters
    ----------
    eb : bool
        As there.
    """

    package = "neuroHarmonize"

    def __init__(self, eb: bool = True) -> None:
        super().__init__(eb=eb)

    def harmonize(self, values: Floats, manufacturer: Texts, samples: Texts) -> Floats:
        import pandas as pd
        from neuroHarmonize import harmonizationLearn

        _, harmonized = harmonizationLearn(values, pd.DataFrame({"SITE": manufacturer}), **self.params)
        return np.asarray(harmonized, dtype=np.float64)


class CombatLearn(Backend):
    """combatlearn (Rocchi et al.): `ComBat(batch, method="johnson").fit_transform(X)`.

    Parameters
    ----------
    parametric, mean_only : bool
        As there.
    """

    package = "combatlearn"

    def __init__(self, parametric: bool = True, mean_only: bool = False) -> None:
        super().__init__(parametric=parametric, mean_only=mean_only)

    def harmonize(self, values: Floats, manufacturer: Texts, samples: Texts) -> Floats:
        import pandas as pd
        from combatlearn import ComBat

        frame = pd.DataFrame(values, index=samples)
        batch = pd.Series(manufacturer, index=samples)  # without the same index it fails in cross-validation
        return np.asarray(ComBat(batch=batch, method="johnson", **self.params).fit_transform(frame), dtype=np.float64)


class InMoose(Backend):
    """inmoose (Behdenna et al.): `pycombat_norm(counts, batch)`.

    Parameters
    ----------
    parametric, mean_only : bool
        `par_prior` and `mean_only` there.
    """

    package = "inmoose"

    def __init__(self, parametric: bool = True, mean_only: bool = False) -> None:
        super().__init__(parametric=parametric, mean_only=mean_only)

    def harmonize(self, values: Floats, manufacturer: Texts, samples: Texts) -> Floats:
        import pandas as pd
        from inmoose.pycombat import pycombat_norm

        found = pycombat_norm(
            pd.DataFrame(values.T, columns=samples),
            manufacturer.tolist(),
            par_prior=self.params["parametric"],
            mean_only=self.params["mean_only"],
        )
        return np.asarray(found, dtype=np.float64).T
