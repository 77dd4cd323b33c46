"""The list of checks for each kind of component, and running them."""

from __future__ import annotations

import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from harmbench.errors import NotApplicable
from harmbench.specs import Spec
from harmbench.testing import (
    datasets,
    declarations,
    evaluators,
    extractors,
    feature_contract,
    feature_goals,
    feature_leaks,
    image_harmonizers,
)
from harmbench.testing.harness import stdout_goes_to
from harmbench.testing.model import Check, CheckFailed, Inapplicable, Result, Status
from harmbench.testing.subjects import Subject, find_subjects

LEAKS = ("H08", "H09", "H10", "H11")
_SPEC = ("the spec is complete and agrees with the class", declarations.check_spec)
_REGISTRATION = ("registering imports nothing heavy", declarations.check_registration)
_KEYS = ("two parameter sets have two cache keys", declarations.check_keys)
_REQUIREMENTS = ("it runs with what it declares, and nothing else", declarations.check_requirements)

FEATURE = (
    Check("H01", *_SPEC),
    Check("H02", *_REGISTRATION),
    Check("H03", "rows, columns and types stay as they came", feature_contract.check_shape),
    Check("H04", "shuffled rows in, the same rows out", feature_contract.check_row_order),
    Check("H05", "shuffled columns in, the same columns out", feature_contract.check_column_order),
    Check("H06", "the input is not written into", feature_contract.check_no_mutation),
    Check("H07", "the same input gives the same output, in any process", feature_contract.check_repeatable),
    Check("H08", "one row at a time equals all at once", feature_leaks.check_single_rows, leak=True),
    Check("H09", "test rows never shape the fit", feature_leaks.check_test_rows_unseen, leak=True),
    Check("H10", "labels of test rows change nothing", feature_leaks.check_labels_unseen, leak=True),
    Check("H11", "no signal comes out of pure noise", feature_leaks.check_null_leak, leak=True),
    Check("H12", "without a manufacturer effect the features stay", feature_goals.check_calibration),
    Check("H13", "a pure shift between manufacturers falls", feature_goals.check_shift_falls),
    Check("H14", "a true signal stays", feature_goals.check_signal_stays),
    Check("H15", "an unseen manufacturer is handled as declared", feature_goals.check_unseen_manufacturer),
    Check("H16", "edge cases give finite values or a clear error", feature_contract.check_edge_cases),
    Check("H17", "nothing is written on standard output", feature_contract.check_quiet),
    Check("H18", "the fitted state can be saved and loaded", feature_contract.check_state_travels),
    Check("H19", *_KEYS),
    Check("H20", *_REQUIREMENTS),
)
IMAGE = (
    Check("H01", *_SPEC),
    Check("H02", *_REGISTRATION),
    Check("H03", "maps fit the image, with the same names for every image", image_harmonizers.check_shape),
    Check("H04", "the order of images does not matter", image_harmonizers.check_order),
    Check("H06", "the input is not written into", image_harmonizers.check_no_mutation),
    Check("H07", "the same input gives the same output, in any process", image_harmonizers.check_repeatable),
    Check("H09", "test images never shape the fit", image_harmonizers.check_test_images_unseen, leak=True),
    Check("H10", "labels change nothing unless declared", image_harmonizers.check_labels_unseen, leak=True),
    Check("H11", "no signal comes out of pure noise", image_harmonizers.check_null_leak, leak=True),
    Check("H15", "an unseen manufacturer is handled as declared", image_harmonizers.check_unseen_manufacturer),
    Check("H16", "edge cases give finite maps or a clear error", image_harmonizers.check_edge_cases),
    Check("H17", "nothing is written on standard output", image_harmonizers.check_quiet),
    Check("H18", "the fitted state can be saved and loaded", image_harmonizers.check_state_travels),
    Check("H19", *_KEYS),
    Check("H20", *_REQUIREMENTS),
    Check("H21", "linear() gives the maps that transform() gives", image_harmonizers.check_linear),
)
EXTRACTOR = (
    Check("E01", *_SPEC),
    Check("E02", *_REGISTRATION),
    Check("E03", "one row of finite numbers per image, in their order", extractors.check_rows),
    Check("E04", "feature names are unique, stable and tell their map", extractors.check_names),
    Check("E05", "an image alone equals the same image among others", extractors.check_batch),
    Check("E06", "the input is not written into", extractors.check_no_mutation),
    Check("E07", "the same input gives the same output, in any process", extractors.check_repeatable),
    Check("E08", "what lies outside the mask does not count", extractors.check_outside_mask),
    Check("E09", "edge cases give finite values or a clear error", extractors.check_edge_cases),
    Check("E10", "nothing is written on standard output", extractors.check_quiet),
    Check("E11", *_KEYS),
    Check("E12", *_REQUIREMENTS),
    Check("E13", "extract_linear() equals extract() of the maps", extractors.check_linear),
)
EVALUATOR = (
    Check("V01", *_SPEC),
    Check("V02", *_REGISTRATION),
    Check("V03", "metrics are declared in full", evaluators.check_metrics_declared),
    Check("V04", "values are of declared metrics and scopes", evaluators.check_values_declared),
    Check("V05", "values stay within their bounds", evaluators.check_bounds),
    Check("V06", "better data score better: the direction is right", evaluators.check_direction),
    Check("V07", "the order of rows does not matter", evaluators.check_row_order),
    Check("V08", "duplicate rows change little", evaluators.check_duplicates),
    Check("V09", "the same input gives the same output, in any process", evaluators.check_repeatable),
    Check("V10", "the input is not written into", evaluators.check_no_mutation),
    Check("V11", "nothing is written on standard output", evaluators.check_quiet),
    Check("V12", *_KEYS),
    Check("V13", *_REQUIREMENTS),
    Check("V14", "recompute() gives the figures of evaluate()", evaluators.check_recompute),
)
DATASET = (
    Check("D01", *_SPEC),
    Check("D02", *_REGISTRATION),
    Check("D03", "samples are complete and consistent", datasets.check_samples),
    Check("D04", "a benchmark's questions can be asked of it", datasets.check_design),
    Check("D05", "images are float32 with a mask of their size", datasets.check_images),
    Check("D06", "loaded twice, it is the same", datasets.check_repeatable),
    Check("D07", "a digest stands for the content", datasets.check_digests),
    Check("D08", "images can be read in a worker process", datasets.check_reader_travels),
    Check("D09", "what it says of itself is true", datasets.check_declared),
    Check("D10", "nothing is written on standard output", datasets.check_quiet),
    Check("D11", *_KEYS),
    Check("D12", *_REQUIREMENTS),
)
ALL: Mapping[str, Sequence[Check]] = {
    "feature harmonizer": FEATURE,
    "image harmonizer": IMAGE,
    "extractor": EXTRACTOR,
    "evaluator": EVALUATOR,
    "data set": DATASET,
}


def checks_of(subject: Subject) -> Sequence[Check]:
    """The checks that concern a component of this kind."""
    if subject.kind == "harmonizer":
        return FEATURE if subject.spec.stage == "feature" else IMAGE
    return {"extractor": EXTRACTOR, "evaluator": EVALUATOR, "dataset": DATASET}[subject.kind]


def run_one(check: Check, subject: Subject) -> None:
    """Run one check.

    Raises
    ------
    CheckFailed
        The component is at fault; whatever else it raises is reported as such, too.
    Inapplicable
        The check does not concern it.
    """
    needs = declarations.not_installed(subject)
    if needs:
        raise Inapplicable(f"not installed: {needs}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check.function(subject)
    except (CheckFailed, Inapplicable):
        raise
    except NotApplicable as error:
        raise Inapplicable(f"it says so itself: {error}") from None
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
        raise CheckFailed(f"{type(error).__name__}: {error} ({where})") from error


def expectations(subject: Subject, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Check ids that are expected to fail, with reasons: what the plugin declares, and what the caller adds."""
    return {**subject.expected, **(more or {})}


def run_checks(
    subject: Subject, expected_failed_checks: Mapping[str, str] | None = None, only: Sequence[str] = ()
) -> Iterator[Result]:
    """Run the kit on one component, check by check.

    Parameters
    ----------
    subject : Subject
    expected_failed_checks : mapping of check id to reason, optional
        Beside those that the plugin declares. A check that is expected to fail and passes counts as bad, so that the
        list stays true.
    only : sequence of str
        Check ids; empty: all.

    Yields
    ------
    Result
        A canary gets one more, "canary": at least one of the leak checks has to catch it.
    """
    expected = expectations(subject, expected_failed_checks)
    canary = getattr(subject.spec, "role", "") == "canary"
    caught: list[str] = []
    ran = False
    for check in checks_of(subject):
        if only and check.id not in only:
            continue
        start = time.perf_counter()
        status, reason = _status(check, subject, expected)
        if canary and check.leak and status == "failed":
            status, reason = "expected failure", f"a canary leaks on purpose: {reason}"
            caught.append(check.id)
        ran = ran or status != "not applicable"
        yield Result(subject.name, check.id, check.title, status, reason, time.perf_counter() - start)
    if canary and ran and not only:
        title = "the kit catches the canary"
        if caught:
            yield Result(subject.name, "canary", title, "passed")
        else:
            yield Result(subject.name, "canary", title, "failed", "no leak check failed: it is no canary")


def _status(check: Check, subject: Subject, expected: Mapping[str, str]) -> tuple[Status, str]:
    try:
        # Standard output is for the table: a plugin's prints would stand between its lines and spoil the JSON.
        with stdout_goes_to(2, sys.stderr):
            run_one(check, subject)
    except Inapplicable as why:
        return "not applicable", str(why)
    except CheckFailed as error:
        if check.id in expected:
            return "expected failure", f"{expected[check.id]} ({error})"
        return "failed", str(error)
    if check.id in expected:
        return "unexpected pass", f"was expected to fail ({expected[check.id]}); take it off the list"
    return "passed", ""


def check_component(
    target: str | Spec, plugins: Sequence[str] = (), kinds: Sequence[str] = (), data: str | None = None
) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks of one component, to be called one by one.

    Parameters
    ----------
    target : str or spec
        A registered name (with parameters in brackets where wanted), or a spec.
    plugins : sequence of str
        Loose plugin files and source folders to load.
    kinds : sequence of str
        To tell components of one name apart.
    data : str, optional
        For data sets that need files.

    Yields
    ------
    (str, callable)
        The check's id, and a function without arguments that raises `CheckFailed` or `Inapplicable`.
    """
    (subject,) = find_subjects([target], plugins, kinds, data)
    for check in checks_of(subject):
        yield check.id, partial(run_one, check, subject)


def _checker(kind: str) -> Callable[..., Iterable[tuple[str, Callable[[], None]]]]:
    def checks(
        target: str | Spec, plugins: Sequence[str] = (), data: str | None = None
    ) -> Iterator[tuple[str, Callable[[], None]]]:
        return check_component(target, plugins, (kind,), data)

    checks.__name__ = f"check_{kind}"
    checks.__doc__ = f"The checks of one {kind}, to be called one by one; see `check_component`."
    return checks


check_harmonizer = _checker("harmonizer")
check_extractor = _checker("extractor")
check_evaluator = _checker("evaluator")
check_dataset = _checker("dataset")
