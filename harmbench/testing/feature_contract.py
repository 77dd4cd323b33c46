"""Checks of feature harmonizers: rows and columns, purity, repeatability, edge cases."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harmbench.data import FeatureTable
from harmbench.errors import NotApplicable
from harmbench.seeding import rng
from harmbench.testing.declarations import check_other_process, clear_refusal, quiet
from harmbench.testing.exercise import exercise
from harmbench.testing.harness import CONTEXT, fit_features, rows_to_fit, transform_features
from harmbench.testing.measures import differs
from harmbench.testing.model import CheckFailed, Inapplicable, require
from harmbench.testing.subjects import Subject
from harmbench.testing.tables import split, tiny_table

COLUMN_TOLERANCE = 1e-6
"""Sums over features come out in another order when columns do."""


def check_shape(subject: Subject) -> None:
    """`transform` changes values and nothing else.

    Fails when the table that comes back has other rows, other samples, other or renamed columns, values that are not
    float64 or not finite, or other manufacturers, patients or covariates. Build the result with
    `table.with_values(new_values)`, new_values being rows x features as they came. A method that leaves features out
    declares `drops_features=True`, and keeps the order of the others.
    """
    train, test = split(tiny_table())
    fitted = fit_features(subject, train, test)
    for name, table in (("training rows", train), ("test rows", test)):
        after = transform_features(subject, fitted, table)
        require(isinstance(after, FeatureTable), f"transform returned a {type(after).__name__}, not a FeatureTable")
        require(len(after.values) == len(table), f"{name}: {len(table)} rows in, {len(after.values)} out")
        require(after.samples.tolist() == table.samples.tolist(), f"{name}: the samples changed, or their order")
        _require_columns(subject, table, after)
        require(after.values.dtype == np.float64, f"{name}: values are {after.values.dtype}, not float64")
        require(np.isfinite(after.values).all(), f"{name}: {int((~np.isfinite(after.values)).sum())} non-finite values")
        for column in ("manufacturer", "patient"):
            same = getattr(after, column).tolist() == getattr(table, column).tolist()
            require(same, f"{name}: column {column} changed")
        same = {k: v.tolist() for k, v in after.covariates.items()} == {
            k: v.tolist() for k, v in table.covariates.items()
        }
        require(same, f"{name}: the covariates changed")


def _require_columns(subject: Subject, before: FeatureTable, after: FeatureTable) -> None:
    if subject.spec.drops_features:
        kept = [name for name in before.features if name in set(after.features)]
        require(list(after.features) == kept and kept, "features were renamed or moved, or all were left out")
    elif sorted(after.features) == sorted(before.features):
        require(after.features == before.features, "the columns came back in another order")
    else:
        require(
            False,
            f"the columns changed: {len(before.features)} in, {len(after.features)} out, or other names",
        )


def check_row_order(subject: Subject) -> None:
    """The result of a row must not depend on where it stands in the table.

    Fails when rows that are shuffled before `transform` do not come out as the same rows, shuffled. Match rows by what
    is in the table (manufacturer, covariates, sample id), never by their position in the training table.
    """
    train, test = split(tiny_table())
    fitted = fit_features(subject, train, test)
    straight = transform_features(subject, fitted, test)
    order = rng(0, check="rows").permutation(len(test))
    mixed = transform_features(subject, fitted, test.rows(order))
    what = differs(straight.values[order], mixed.values)
    require(not what, f"shuffled rows come out with other values: {what}")


def check_column_order(subject: Subject) -> None:
    """Which column a feature stands in says nothing about it.

    Fails when columns that are shuffled before `fit` and `transform` do not come out as the same columns, shuffled
    (to 1e-6). Work on all columns alike, and by name where names matter.
    """
    if not subject.spec.deterministic:
        raise Inapplicable("declared deterministic=False: two fits differ anyway")
    train, test = split(tiny_table())
    straight = transform_features(subject, fit_features(subject, train, test), test)
    order = rng(0, check="columns").permutation(len(test.features))
    a, b = train.columns(order), test.columns(order)
    mixed = transform_features(subject, fit_features(subject, a, b), b)
    place = {name: j for j, name in enumerate(mixed.features)}
    require(set(place) == set(straight.features), "with columns in another order, other features are kept")
    what = differs(straight.values, mixed.values[:, [place[name] for name in straight.features]], COLUMN_TOLERANCE)
    require(not what, f"shuffled columns come out with other values: {what}")


def _writable(table: FeatureTable) -> FeatureTable:
    columns = {k: v.copy() for k, v in table.covariates.items()}
    return replace(
        table,
        values=table.values.copy(),
        manufacturer=table.manufacturer.copy(),
        patient=table.patient.copy(),
        samples=table.samples.copy(),
        label=None if table.label is None else table.label.copy(),
        covariates=columns,
    )


def _image_of(table: FeatureTable) -> list[Any]:
    columns = [table.values, table.manufacturer, table.patient, table.samples, *table.covariates.values()]
    columns += [] if table.label is None else [table.label]
    return [column.tolist() for column in columns] + [sorted(table.covariates)]


def check_no_mutation(subject: Subject) -> None:
    """Tables are shared between methods; whoever writes into one changes the others' data.

    Fails when `fit` or `transform` writes into the arrays of its argument (`values -= mean`). Write into a copy, or
    compute a new array.
    """
    train, test = split(tiny_table())
    spec = subject.spec
    rows = rows_to_fit(subject, train, test)
    table = _writable(rows if spec.uses_label != "no" else rows.with_label(None))
    before = _image_of(table)
    harmonizer = subject.build()
    fitted = harmonizer.fit(table, CONTEXT) or harmonizer
    require(_image_of(table) == before, "fit writes into the table that it is given")
    table = _writable(test if spec.uses_label == "oracle" else test.with_label(None))
    before = _image_of(table)
    fitted.transform(table)
    require(_image_of(table) == before, "transform writes into the table that it is given")


def check_repeatable(subject: Subject) -> None:
    """The same rows, parameters and seed must give the same numbers: today, elsewhere, after whatever ran before.

    Fails when two calls of `transform` differ, when two fits differ, when NumPy's global random state matters, when a
    second object fitted on other rows changes the first (state kept in a module or in the class), or when a fresh
    process gives other numbers (an order taken from a `set`, or `hash()` of a text). Draw random numbers from
    `context.rng(name="...")`, keep all state in `self`, and sort what comes out of a set. A method whose numbers cannot
    be repeated declares `deterministic=False`.
    """
    if not subject.spec.deterministic:
        raise Inapplicable("declared deterministic=False")
    train, test = split(tiny_table())
    state = np.random.get_state()  # noqa: NPY002  # the global state is what is asked about
    try:
        np.random.seed(1)  # noqa: NPY002
        first = fit_features(subject, train, test)
        one = transform_features(subject, first, test).values
        np.random.seed(2)  # noqa: NPY002
        what = differs(one, transform_features(subject, first, test).values)
        require(not what, f"two calls of transform differ: {what}")
        second = fit_features(subject, train, test)
        what = differs(one, transform_features(subject, second, test).values)
        require(not what, f"two fits of the same rows with the same seed differ: {what}")
    finally:
        np.random.set_state(state)  # noqa: NPY002
    other_train, other_test = split(tiny_table(seed=1))
    fit_features(subject, other_train, other_test)
    what = differs(one, transform_features(subject, first, test).values)
    require(not what, f"an object fitted on other rows changed this one: {what}; keep state in self")
    what = differs(one, transform_features(subject, fit_features(subject, train, test), test).values)
    require(not what, f"after a fit on other rows the same fit differs: {what}; keep state in self")
    check_other_process(subject, exercise(subject))


def check_quiet(subject: Subject) -> None:
    """Standard output belongs to the command: `--json` prints one document there.

    Fails when `fit` or `transform` prints, by Python or by compiled code. Drop the print, or use `warnings.warn` or
    `logging`.
    """
    train, test = split(tiny_table())
    with quiet():
        transform_features(subject, fit_features(subject, train, test), test)


def check_state_travels(subject: Subject) -> None:
    """Fitted methods go to worker processes and come back.

    Fails when a fitted object cannot be pickled (a lambda, a generator, an open file or a local class in `self`), or
    gives other numbers afterwards. Keep plain values, arrays and module-level functions in `self`.
    """
    train, test = split(tiny_table())
    fitted = fit_features(subject, train, test)
    try:
        again = pickle.loads(pickle.dumps(fitted))
    except Exception as error:
        raise CheckFailed(f"the fitted object cannot be pickled: {type(error).__name__}: {error}") from None
    what = differs(
        transform_features(subject, fitted, test).values, transform_features(subject, again, test).values, 0.0
    )
    require(not what, f"saved and loaded, it gives other numbers: {what}")


def _edge_tables() -> Mapping[str, tuple[FeatureTable, FeatureTable]]:
    train, test = split(tiny_table())
    lonely = np.flatnonzero(train.manufacturer == "Siemens")[1:]
    feature = 4
    flat = [np.array(t.values) for t in (train, test)]
    for values in flat:
        values[:, feature] = 7.25
    inside = [np.array(t.values) for t in (train, test)]
    for values, t in zip(inside, (train, test), strict=True):
        values[t.manufacturer == "Philips", feature] = 3.5
    hole = np.array(train.values)
    hole[5, 2] = np.nan
    test_hole = np.array(test.values)
    test_hole[3, 2] = np.nan
    return {
        "a manufacturer with one training row": (train.rows(np.setdiff1d(np.arange(len(train)), lonely)), test),
        "a constant feature": (train.with_values(flat[0]), test.with_values(flat[1])),
        "a feature that is constant within a manufacturer": (train.with_values(inside[0]), test.with_values(inside[1])),
        "one NaN in a training row": (train.with_values(hole), test),
        "one NaN in a test row": (train, test.with_values(test_hole)),
        "one row to transform": (train, test.rows(np.array([0]))),
    }


def check_edge_cases(subject: Subject) -> None:
    """Real tables hold a manufacturer with one row, a constant feature, a missing value.

    Fails when such a table gives non-finite values (a NaN may stay where it was, and nowhere else), or an error that
    says nothing to a user (`LinAlgError: Singular matrix`). Guard divisions by a spread of zero, or raise
    `harmbench.DataError` or `harmbench.NotApplicable` with the feature, sample or manufacturer and a remedy.
    """
    for case, (train, test) in _edge_tables().items():
        try:
            with np.errstate(all="ignore"):
                fitted = fit_features(subject, train, test)
                after = transform_features(subject, fitted, test)
        except NotApplicable:
            continue
        except Exception as error:
            clear_refusal(error, case)
            continue
        keep = np.isin(np.array(test.features, dtype=object), list(after.features))
        wrong = ~np.isfinite(after.values) & np.isfinite(test.values[:, keep])
        require(not wrong.any(), f"{case}: {int(wrong.sum())} values that were finite are not any more")
