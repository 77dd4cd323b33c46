"""The kit as parametrized tests, in the manner of scikit-learn's `parametrize_with_checks`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmbench.specs import Spec
    from harmbench.testing.model import Check
    from harmbench.testing.subjects import Subject

Expected = Mapping[str, str] | Callable[["Subject"], Mapping[str, str]]


@dataclass(frozen=True)
class BoundCheck:
    """One check of one component, to be called without arguments."""

    check: Check
    subject: Subject

    def __call__(self) -> None:
        """Run it: `CheckFailed` on a failure, a skipped test where it does not apply."""
        import pytest

        from harmbench.testing.kit import run_one
        from harmbench.testing.model import CheckFailed, Inapplicable

        try:
            run_one(self.check, self.subject)
        except Inapplicable as why:
            pytest.skip(f"not applicable: {why}")
        except CheckFailed as error:
            raise CheckFailed(f"{self.check.id}: {error}\n\n{self.check.help}") from error.__cause__

    def __str__(self) -> str:
        return f"{self.subject.name}-{self.check.id}"


def parametrize_with_checks(
    targets: Iterable[str | Spec],
    *,
    expected_failed_checks: Expected | None = None,
    plugins: Sequence[str] = (),
    data: str | None = None,
) -> Any:
    """A pytest decorator that runs a test once for every check of every component.

    Parameters
    ----------
    targets : iterable of str or spec
        Registered names, with parameters in brackets where wanted, or specs.
    expected_failed_checks : mapping, or callable from subject to mapping, optional
        Check id to the reason why it fails. Such a test is an xfail, and fails itself when the check passes. What the
        plugin module declares as `expected_failed_checks` counts too.
    plugins : sequence of str
        Loose plugin files and source folders to load.
    data : str, optional
        For data sets that need files.

    Examples
    --------
    ::

        @parametrize_with_checks(["my-method"], expected_failed_checks={"H12": "it ranks, so values change"})
        def test_my_method_conforms(check):
            check()
    """
    import pytest

    from harmbench.testing.kit import checks_of, expectations
    from harmbench.testing.subjects import find_subjects

    cases = []
    for subject in find_subjects(targets, plugins, data=data):
        given = expected_failed_checks(subject) if callable(expected_failed_checks) else expected_failed_checks
        expected = expectations(subject, given)
        canary = getattr(subject.spec, "role", "") == "canary"
        for check in checks_of(subject):
            marks = []
            if check.id in expected:
                marks = [pytest.mark.xfail(reason=expected[check.id], strict=True)]
            elif canary and check.leak:
                marks = [pytest.mark.xfail(reason="a canary leaks on purpose", strict=False)]
            bound = BoundCheck(check, subject)
            cases.append(pytest.param(bound, id=str(bound), marks=marks))
    return pytest.mark.parametrize("check", cases)
