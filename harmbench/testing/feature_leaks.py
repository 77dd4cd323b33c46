"""Checks of what a feature harmonizer learns from: test rows, their labels, other rows of the same call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench.seeding import rng
from harmbench.testing.harness import CONTEXT, fit_features, in_folds, transform_features
from harmbench.testing.measures import differs, within_manufacturer
from harmbench.testing.model import CheckFailed, Inapplicable, require
from harmbench.testing.subjects import Subject
from harmbench.testing.tables import CONFOUNDED, MANUFACTURERS, simulate, split, tiny_table

NULL_TABLES, NULL_ROWS, NULL_FEATURES, NULL_FOLDS = 4, 48, 400, 3
NULL_SDS = 4.0
"""Tolerance of the null leak test, in standard deviations: by chance an honest method fails once in 16 000 times."""


def check_single_rows(subject: Subject) -> None:
    """A patient's features must not depend on who else is scanned that day.

    Fails when rows transformed one at a time, or one manufacturer at a time, differ from the same rows transformed
    together: statistics are taken from the rows of the call, or categories are numbered anew from the levels that
    happen to be there. Learn means, scales and the list of levels in `fit`; apply them in `transform`. A method that
    cannot do without all rows declares `inductive=False`.
    """
    if not subject.spec.inductive:
        raise Inapplicable("declared inductive=False: rows are harmonized together")
    if not subject.spec.deterministic:
        raise Inapplicable("declared deterministic=False: two calls differ anyway")
    train, test = split(tiny_table())
    fitted = fit_features(subject, train, test)
    together = transform_features(subject, fitted, test)
    for i in range(len(test)):
        alone = transform_features(subject, fitted, test.rows(np.array([i])))
        what = differs(together.values, _with_row(together, alone, i))
        require(not what, f"row {i} ({test.manufacturer[i]}) alone differs from the same row among others: {what}")
    for name, groups in (("manufacturer", test.manufacturer), ("sex", test.covariates["sex"])):
        for level in sorted(set(groups.tolist())):
            rows = np.flatnonzero(groups == level)
            some = transform_features(subject, fitted, test.rows(rows))
            what = differs(together.values[rows], some.values)
            require(not what, f"the rows of {name} '{level}' alone differ from the same rows among others: {what}")


def _with_row(together: FeatureTable, alone: FeatureTable, i: int) -> np.ndarray:
    values = together.values.copy()
    values[i] = alone.values[0]
    return values


def _other_test(test: FeatureTable) -> FeatureTable:
    """The same samples with values that have nothing to do with what they were."""
    return test.with_values(test.values[::-1] * 3.0 + 5.0)


def check_test_rows_unseen(subject: Subject) -> None:
    """What is held out must not shape the fit, or every score on it is too good.

    Fails when harmonized training rows change after other rows were transformed (the fit is updated at `transform`),
    or when they depend on what the test rows are. Learn in `fit`, only from its argument, and let `transform` change
    nothing in `self`. A transductive method is not asked, unless it is given labels: then it has seen those of the
    rows that it will be scored on.
    """
    spec = subject.spec
    if not spec.inductive and spec.uses_label != "fit":
        raise Inapplicable("declared inductive=False: it gets the test rows, without labels, and is not ranked")
    if not spec.inductive:
        raise CheckFailed(
            "inductive=False and uses_label='fit' together: the fit is given the test rows with their labels"
        )
    if not spec.deterministic:
        raise Inapplicable("declared deterministic=False: two calls differ anyway")
    train, test = split(tiny_table())
    fitted = fit_features(subject, train, test)
    before = transform_features(subject, fitted, train).values
    transform_features(subject, fitted, test)
    transform_features(subject, fitted, _other_test(test))
    what = differs(before, transform_features(subject, fitted, train).values)
    require(not what, f"training rows come out otherwise after test rows were transformed: {what}")
    harmonize = in_folds(subject)
    one, two = harmonize(train, test)[0], harmonize(train, _other_test(test))[0]
    require(one.features == two.features, "which features are kept depends on the test rows")
    what = differs(one.values, two.values)
    require(not what, f"training rows come out otherwise beside other test rows: {what}")


def check_labels_unseen(subject: Subject) -> None:
    """The diagnosis of a new patient is what is to be found out; no method may use it.

    Fails when the labels of test rows change the harmonized test rows; when `transform` looks at `table.label` (the
    runner takes it away, so the method would work otherwise in a benchmark than in its author's hands); or when `fit`
    uses the label although `uses_label="no"` is declared. Remove the use, or declare `uses_label="fit"`.

    Also fails when a covariate that no parameter names changes the test rows. What is called `grade` in the kit's table
    may be a BI-RADS grade in a user's: it all but is the label, and rows to transform bring it along. Keep covariates
    that the user names, and none by default.
    """
    spec = subject.spec
    if spec.uses_label == "oracle":
        raise Inapplicable("a control that declares uses_label='oracle' is given labels on purpose")
    if not spec.deterministic:
        raise Inapplicable("declared deterministic=False: two calls differ anyway")
    train, test = split(tiny_table())
    assert test.label is not None
    harmonize = in_folds(subject)
    flipped = test.with_label(1 - test.label)
    what = differs(harmonize(train, test)[1].values, harmonize(train, flipped)[1].values)
    require(not what, f"other labels of test rows give other test rows: {what}")
    fitted = fit_features(subject, train, test)
    without = transform_features(subject, fitted, test).values
    what = differs(without, fitted.transform(test).values)
    require(not what, f"transform gives other values where the table holds a label: {what}")
    if spec.uses_label == "no" and spec.inductive:
        harmonizer = subject.build()
        told = harmonizer.fit(train, CONTEXT) or harmonizer
        what = differs(without, transform_features(subject, told, test).values)
        require(not what, f"uses_label='no' is declared, but fit gives another result where there is a label: {what}")
    draw = rng(0, table="grades")
    train, low = (_graded(table, draw.normal(size=len(table))) for table in (train, test))
    high = _graded(test, low.covariates["grade"] + 1)
    what = differs(harmonize(train, low)[1].values, harmonize(train, high)[1].values)
    require(
        not what,
        f"a covariate 'grade', which no parameter names, changes test rows, and it may stand for the label: {what}",
    )


def _graded(table: FeatureTable, grade: Floats) -> FeatureTable:
    return replace(table, covariates={**table.covariates, "grade": grade})


def check_null_leak(subject: Subject) -> None:
    """On features that are pure noise nobody can tell the classes apart; a method that can has seen the answer.

    Four tables of 3 x 48 rows and 400 noise features, whose manufacturers differ in location and in the share of
    label 1 (20, 50, 80 %), go through the whole cross-validation, the method fitted in each fold as the runner does it.
    A ridge classifier's AUC inside each manufacturer, averaged, has to lie within 4 standard deviations (about 0.12) of
    0.5. ComBat fitted on all rows with the label preserved reads 0.8. Fails when information about held-out labels
    reaches the features: a fit on all rows with the label, or labels remembered from one fold to the next. Fit on the
    training rows only, and keep nothing between fits.
    """
    if subject.spec.uses_label == "oracle":
        raise Inapplicable("a control that declares uses_label='oracle' is given labels on purpose")
    tables = [
        simulate(
            "null leak",
            dict.fromkeys(MANUFACTURERS, NULL_ROWS),
            NULL_FEATURES,
            prevalence=CONFOUNDED,
            shift=1.0,
            seed=seed,
        )
        for seed in range(NULL_TABLES)
    ]
    found = within_manufacturer(tables, in_folds(subject, Context(seed=1)), NULL_FOLDS)
    tolerance = NULL_SDS * found.null_sd
    require(
        abs(found.value - 0.5) <= tolerance,
        f"on pure noise the AUC within manufacturers is {found.value:.2f}, and 0.50 +- {tolerance:.2f} is what chance "
        "explains",
    )
