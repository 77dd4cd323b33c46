"""Covariates as columns of numbers: coded once at the fit, and in the same way for any later row.

The coding (centre of a number, levels of a category) is learned from the training rows only. Coding the rows to
transform by themselves is a known fault of other implementations: a test set that holds one level of a category
would silently be read as the baseline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from harmbench.errors import DataError, suggestion

Floats = npt.NDArray[np.float64]

RANK_TOLERANCE = 1e-9
"""A column of which less than this share is left after the columns before it are projected out depends on them."""


@dataclass(frozen=True)
class Continuous:
    """A number, coded as its distance from the mean of the training rows."""

    name: str
    centre: float

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.name,)

    def expand(self, values: Floats) -> Floats:
        return (values - self.centre)[:, None]


@dataclass(frozen=True)
class Categorical:
    """A category, coded as one 0/1 column for every level of the training rows but the first."""

    name: str
    levels: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"{self.name}={level}" for level in self.levels[1:])


class Numeric(Protocol):
    """How a number becomes columns: linearly (`Continuous`) or as a spline (`splines.Smooth`)."""

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    def expand(self, values: Floats) -> Floats:
        """Values (n,) as columns (n, k), each row by itself."""
        ...


Code = Numeric | Categorical


@dataclass(frozen=True)
class Covariates:
    """Coded covariates.

    Parameters
    ----------
    columns : float64 (n, q)
    names : tuple of str, length q
        `name` of a number, `name=level` of a category; used in messages.
    """

    columns: Floats
    names: tuple[str, ...]


def _is_text(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind not in "fiub"


def _require_complete(name: str, values: npt.NDArray[Any], samples: Sequence[str] | npt.NDArray[np.str_]) -> None:
    if _is_text(values):
        bad = [i for i, v in enumerate(values.tolist()) if v is None or v != v or not str(v).strip()]
    else:
        bad = np.flatnonzero(~np.isfinite(values.astype(np.float64))).tolist()
    if bad:
        others = f" (and {len(bad) - 1} more samples)" if len(bad) > 1 else ""
        raise DataError(
            f"covariate '{name}' is missing for sample '{samples[bad[0]]}'{others}.",
            remedy="Fill in the value, drop the sample, or leave this covariate out.",
        )


def learn_codes(
    covariates: Mapping[str, npt.NDArray[Any]], samples: Sequence[str] | npt.NDArray[np.str_]
) -> tuple[Code, ...]:
    """How to code these covariates, learned from the training rows.

    Parameters
    ----------
    covariates : mapping of name to array (n,)
        Numbers or booleans are continuous, anything else is a category.
    samples : sequence of str, length n
        Named in messages.

    Raises
    ------
    DataError
        A value is missing (NaN, infinite, empty text).
    """
    codes: list[Code] = []
    for name, given in covariates.items():
        values = np.asarray(given)
        _require_complete(name, values, samples)
        if _is_text(values):
            codes.append(Categorical(name, tuple(sorted({str(v) for v in values.tolist()}))))
        else:
            numbers = values.astype(np.float64)
            # The mean of equal numbers may miss them by rounding, which would look like variation.
            same = len(numbers) > 0 and bool((numbers == numbers[0]).all())
            codes.append(Continuous(name, float(numbers[0] if same else numbers.mean())))
    return tuple(codes)


def encode(
    codes: Sequence[Code],
    covariates: Mapping[str, npt.NDArray[Any]],
    samples: Sequence[str] | npt.NDArray[np.str_],
) -> Covariates:
    """Code rows as the fit did, each row by itself.

    Raises
    ------
    DataError
        A covariate of the fit is absent, is missing for a sample, changed between text and number, or has a level
        that the training rows did not have.
    """
    columns: list[Floats] = []
    for code in codes:
        if code.name not in covariates:
            hint = suggestion(code.name, covariates)
            raise DataError(
                f"covariate '{code.name}' was used in the fit but is not in this table.{hint}",
                remedy="Give every table the covariates of the training table.",
            )
        values = np.asarray(covariates[code.name])
        _require_complete(code.name, values, samples)
        if _is_text(values) != isinstance(code, Categorical):
            now, then = ("text", "a number") if _is_text(values) else ("a number", "text")
            raise DataError(
                f"covariate '{code.name}' is {now} here but was {then} in the fit.",
                remedy="Use one type for it in all tables.",
            )
        if not isinstance(code, Categorical):
            columns.extend(code.expand(values.astype(np.float64)).T)
            continue
        place = {level: i for i, level in enumerate(code.levels)}
        index = [place.get(str(v), -1) for v in values.tolist()]
        if -1 in index:
            row = index.index(-1)
            raise DataError(
                f"covariate '{code.name}' of sample '{samples[row]}' is '{values[row]}', a level that no training row "
                f"had (levels: {', '.join(code.levels)}).",
                remedy="Merge rare levels, or leave this covariate out.",
            )
        positions = np.asarray(index, dtype=np.int64)
        columns.extend((positions == level).astype(np.float64) for level in range(1, len(code.levels)))
    names = tuple(name for code in codes for name in code.columns)
    return Covariates(np.column_stack(columns) if columns else np.zeros((len(samples), 0)), names)


def factorise(within: Floats, spread: Floats, names: Sequence[str]) -> tuple[Floats, Floats]:
    """QR of the covariates after their mean in each manufacturer is taken out.

    Parameters
    ----------
    within : float64 (n, q)
        Columns centred within each manufacturer.
    spread : float64 (q,)
        Norm of each column centred over all rows.
    names : sequence of str, length q

    Returns
    -------
    q : float64 (n, q)
    r : float64 (q, q)

    Raises
    ------
    DataError
        Naming the covariates that are constant, determined by the manufacturer, or determined by others.
    """
    norm = np.linalg.norm(within, axis=0)
    for j, name in enumerate(names):
        if spread[j] == 0:
            raise DataError(
                f"covariate '{name}' has the same value in all training rows, so its effect cannot be estimated.",
                remedy="Leave it out.",
            )
        if norm[j] <= RANK_TOLERANCE * spread[j]:
            raise DataError(
                f"covariate '{name}' is determined by the manufacturer (it does not vary within any of them), so the "
                "two effects cannot be told apart.",
                remedy="Leave it out.",
            )
    unit, triangle = np.linalg.qr(within / np.where(norm > 0, norm, 1))
    for j, name in enumerate(names):
        if abs(triangle[j, j]) <= RANK_TOLERANCE:
            weights = np.linalg.solve(triangle[:j, :j], triangle[:j, j])
            partners = ", ".join(f"'{names[i]}'" for i in np.flatnonzero(np.abs(weights) > 1e-6).tolist())
            raise DataError(
                f"covariate '{name}' is determined by {partners} and the manufacturer, so their effects cannot be told "
                "apart.",
                remedy="Keep only one of them.",
            )
    return unit, triangle * norm
