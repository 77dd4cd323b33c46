"""Checks of what a feature harmonizer is for: the manufacturer's effect goes, everything else stays."""

from __future__ import annotations

from typing import Any

import numpy as np

from harmbench.errors import NotApplicable
from harmbench.testing.harness import fit_features, in_folds, transform_features
from harmbench.testing.measures import rank_agreement, shift_between, shift_by_chance, within_manufacturer
from harmbench.testing.model import CheckFailed, Inapplicable, require
from harmbench.testing.subjects import Subject
from harmbench.testing.tables import MANUFACTURERS, simulate, split, tiny_table

SIZES = dict(zip(MANUFACTURERS, (120, 90, 60), strict=True))
FEATURES = 30
LEAST_AGREEMENT = 0.9
CHANCE_FACTOR = 1.5
LARGEST_LOSS = 0.05


def _method_only(subject: Subject) -> None:
    if subject.spec.role != "method":
        raise Inapplicable(f"a {subject.spec.role} is not meant to harmonize well")


def check_calibration(subject: Subject) -> None:
    """Where manufacturers do not differ there is nothing to remove, and nothing should be.

    90 test rows of 30 normal features without any manufacturer effect. Fails when the harmonized features do not keep
    the order of the rows (median rank correlation with the raw ones below 0.9), or when manufacturers differ afterwards
    by more than 1.5 times what the sampling error of test and training means explains: the method adds a signature of
    its own. Look for scales divided by too few rows, or for an effect that is estimated and added back.
    """
    _method_only(subject)
    train, test = split(simulate("calibration", SIZES, FEATURES))
    after = in_folds(subject)(train, test)[1]
    raw = test.columns(np.isin(np.array(test.features, dtype=object), list(after.features)))
    kept = rank_agreement(raw.values, after.values)
    require(kept >= LEAST_AGREEMENT, f"without any effect to remove, the rank correlation with the raw is {kept:.2f}")
    left, allowed = shift_between(after), CHANCE_FACTOR * shift_by_chance(test, train)
    require(left <= allowed, f"it makes manufacturers differ by {left:.2f} SD where chance explains {allowed:.2f}")


def check_shift_falls(subject: Subject) -> None:
    """The least that a harmonization method does is to take away a constant difference.

    270 rows of 30 features; each manufacturer adds a constant of about one standard deviation to each. Fails when the
    difference between manufacturers on held-out rows, beyond what chance explains, is not at least halved. See that
    the effect is subtracted (not added), and for the right manufacturer. A method that does not know the manufacturer
    (`uses_manufacturer="no"`) is not asked.
    """
    _method_only(subject)
    if subject.spec.uses_manufacturer == "no":
        raise Inapplicable("declared uses_manufacturer='no': it cannot know whose shift it is")
    if subject.spec.drops_features:
        raise Inapplicable("declared drops_features=True: it chooses among features, and leaves them as they are")
    train, test = split(simulate("shift", SIZES, FEATURES, shift=1.0))
    after = in_folds(subject)(train, test)[1]
    chance = shift_by_chance(test, train)
    before, left = shift_between(test), shift_between(after)
    allowed = chance + 0.5 * (before - chance)
    require(
        left <= allowed,
        f"manufacturers differed by {before:.2f} SD and still differ by {left:.2f} (want {allowed:.2f})",
    )


def check_signal_stays(subject: Subject) -> None:
    """A method that removes the disease with the scanner is worse than none.

    270 rows of 30 features with a manufacturer effect; label 1 adds 0.7 standard deviations to a third of them, in
    every manufacturer alike. Fails when the cross-validated AUC within manufacturers falls by more than 0.05 against
    that of the raw features. Look for too strong a correction, or for features that were mixed up.
    """
    _method_only(subject)
    table = simulate("signal", SIZES, FEATURES, shift=1.0, spread=0.2, signal=0.7)
    raw = within_manufacturer([table], lambda train, test: (train, test))
    after = within_manufacturer([table], in_folds(subject))
    require(
        after.value >= raw.value - LARGEST_LOSS,
        f"the AUC within manufacturers falls from {raw.value:.2f} to {after.value:.2f}",
    )


def declared_unseen(subject: Subject, component: Any) -> bool:
    """What the object says for its parameters, else what the spec says."""
    return bool(getattr(component, "handles_unseen_manufacturer", subject.spec.handles_unseen_manufacturer))


def check_unseen_manufacturer(subject: Subject) -> None:
    """Leaving a manufacturer out is the hardest test there is, and a method must say whether it can be put to it.

    Fails when `handles_unseen_manufacturer=True` is declared and rows of a new manufacturer raise or give non-finite
    values; or when it is not declared, and such rows raise anything but `harmbench.UnseenManufacturer` or come out
    changed as if nothing were the matter. Raise `UnseenManufacturer` with the names that the fit has seen, or declare
    that you can do it.
    """
    if not subject.spec.inductive:
        raise Inapplicable("declared inductive=False: its fit has seen every manufacturer")
    train, test = split(tiny_table())
    train = train.rows(train.manufacturer != "Siemens")
    new = test.rows(test.manufacturer == "Siemens")
    fitted = fit_features(subject, train, test)
    able = declared_unseen(subject, fitted)
    try:
        after = transform_features(subject, fitted, new)
    except NotApplicable as error:
        require(not able, f"handles_unseen_manufacturer=True is declared, but a new manufacturer raises: {error}")
        return
    except Exception as error:
        raise CheckFailed(
            f"a new manufacturer raises {type(error).__name__}: {error}; raise harmbench.UnseenManufacturer"
        ) from None
    require(able, "rows of a new manufacturer come out, although handles_unseen_manufacturer=False is declared")
    require(np.isfinite(after.values).all(), "rows of a new manufacturer come out with non-finite values")
