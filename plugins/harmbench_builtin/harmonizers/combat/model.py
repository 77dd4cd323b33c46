"""What the methods of this family share: checking parameters, choosing covariates, a fit on a table and its use."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from harmbench.data import FeatureTable
from harmbench.errors import NotApplicable, UsageError, suggestion
from harmbench_builtin.harmonizers.checks import require_features, require_finite
from harmbench_builtin.harmonizers.combat import engine
from harmbench_builtin.harmonizers.combat.design import Categorical, Code, Covariates, encode, learn_codes
from harmbench_builtin.harmonizers.combat.least_squares import statistics
from harmbench_builtin.harmonizers.combat.unseen import POLICIES

State = TypeVar("State")


def check_flags(method: str, **flags: object) -> None:
    """Raise `UsageError` unless every parameter is a bool."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise UsageError(f"{method}.{name} must be true or false, not {value!r}.")


def check_texts(method: str, **texts: object) -> None:
    """Raise `UsageError` unless every parameter is text."""
    for name, value in texts.items():
        if not isinstance(value, str):
            raise UsageError(f"{method}.{name} must be text, not {value!r}.")


def check_choice(method: str, name: str, value: object, choices: Sequence[str]) -> None:
    """Raise `UsageError` unless the parameter is one of the choices."""
    if value not in choices:
        raise UsageError(f"{method}.{name} is {value!r}.{suggestion(str(value), choices)}")


def check_unseen(method: str, value: object) -> None:
    """Raise `UsageError` unless the policy for unseen manufacturers looks at each row by itself."""
    if value == "self":
        raise UsageError(
            f"{method}.unseen cannot be 'self': an unseen manufacturer would be estimated from the rows to transform, "
            "so that each depends on the others. The method combat-self does that, is marked as transductive, and is "
            "never ranked beside inductive ones."
        )
    check_choice(method, "unseen", value, POLICIES)


def check_number(method: str, name: str, value: object, low: float, high: float = np.inf, whole: bool = False) -> None:
    """Raise `UsageError` unless the parameter is a number in [low, high]."""
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not fits or not low <= value <= high:  # type: ignore[operator]  # known to be a number by then
        kind = "a whole number" if whole else "a number"
        to = f" to {high:g}" if np.isfinite(high) else " or more"
        raise UsageError(f"{method}.{name} must be {kind} from {low:g}{to}, not {value!r}.")


def is_text(values: npt.NDArray[Any]) -> bool:
    """Whether a covariate is a category."""
    return np.asarray(values).dtype.kind not in "fiub"


def select(method: str, parameter: str, wanted: str, there: Mapping[str, npt.NDArray[Any]]) -> tuple[str, ...]:
    """The covariates that a parameter names: "none", "all", or names separated by commas.

    Raises
    ------
    UsageError
        A name that is close to a covariate of the table: a typing error.
    NotApplicable
        A name unlike all of them: these data lack it.
    """
    if wanted.strip() in ("", "none"):
        return ()
    if wanted.strip() == "all":
        return tuple(sorted(there))
    names = tuple(dict.fromkeys(part.strip() for part in wanted.split(",") if part.strip()))
    for name in names:
        if name in there:
            continue
        text = f"{method}.{parameter}: the data have no covariate '{name}'.{suggestion(name, [*there, 'all', 'none'])}"
        raise UsageError(text) if difflib.get_close_matches(name, there, n=1, cutoff=0.5) else NotApplicable(text)
    return names


@dataclass(frozen=True)
class Model:
    """A ComBat fitted on a table.

    Parameters
    ----------
    fitted : engine.Fitted
    codes : tuple of Code
        How covariates are coded.
    features : tuple of str
        Columns of the fit.
    method : str
        Named in messages.
    """

    fitted: engine.Fitted
    codes: tuple[Code, ...]
    features: tuple[str, ...]
    method: str


def learn(
    table: FeatureTable,
    method: str,
    covariates: Sequence[str] = (),
    options: engine.Options | None = None,
    *,
    codes: tuple[Code, ...] | None = None,
    batch: npt.NDArray[np.str_] | None = None,
    regression: engine.Regression = statistics,
) -> Model:
    """Fit on a table's rows.

    Parameters
    ----------
    table : FeatureTable
        Its label is not looked at.
    method : str
    covariates : sequence of str
        Names in `table.covariates`.
    options : engine.Options, optional
    codes : tuple of Code, optional
        How to code the covariates, instead of learning it here.
    batch : str (n,), optional
        The groups to bring together; the manufacturers by default.
    regression : callable, optional
        See `engine.fit`.

    Raises
    ------
    NotApplicable, UsageError, DataError
        See `engine.fit`; also for non-finite values and missing covariates.
    """
    require_finite(table, method)
    chosen = {name: table.covariates[name] for name in covariates}
    codes = learn_codes(chosen, table.samples) if codes is None else codes
    coded = encode(codes, chosen, table.samples)
    groups = table.manufacturer if batch is None else batch
    return Model(engine.fit(table.values, groups, coded, options, regression), codes, table.features, method)


def check_rows(table: FeatureTable, features: tuple[str, ...], method: str) -> None:
    """Raise `DataError` unless these are finite rows with the columns of the fit."""
    require_features(table, features, method)
    require_finite(table, method)


def coded_rows(model: Model, table: FeatureTable) -> Covariates:
    """A table's covariates, coded as in the fit."""
    return encode(model.codes, table.covariates, table.samples)


def adjust(
    model: Model, table: FeatureTable, unseen: str = "error", *, batch: npt.NDArray[np.str_] | None = None
) -> FeatureTable:
    """Adjust each row of a table by itself.

    Raises
    ------
    UnseenManufacturer
        With `unseen="error"`.
    DataError
        Non-finite values, other features than in the fit, a covariate missing or of an unseen level.
    """
    check_rows(table, model.features, model.method)
    groups = table.manufacturer if batch is None else batch
    return table.with_values(engine.apply(model.fitted, table.values, groups, coded_rows(model, table), unseen=unseen))


def fitted_or_raise(state: State | None, method: str) -> State:
    """The state of the last fit.

    Raises
    ------
    UsageError
        There was none.
    """
    if state is None:
        raise UsageError(f"{method} has not been fitted; call fit before transform.")
    return state


def text_covariate(table: FeatureTable, name: str) -> npt.NDArray[np.str_]:
    """A categorical covariate, complete.

    Raises
    ------
    DataError
        It is absent, a number, or missing for a sample.
    """
    codes = (Categorical(name, tuple(sorted({str(v) for v in table.covariates.get(name, ())}))),)
    encode(codes, table.covariates, table.samples)  # raises for what is absent, incomplete or no text
    return np.array([str(v) for v in table.covariates[name].tolist()])
