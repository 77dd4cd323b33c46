"""The conformance kit: does a plugin do what it declares, and nothing that would make a benchmark wrong?

For a plugin's own test suite::

    from harmbench.testing import parametrize_with_checks

    @parametrize_with_checks(["my-method"])
    def test_my_method_conforms(check):
        check()

On the command line: `harmbench check my-method`. Names are looked up when first used, so the import stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmbench.testing.kit import (
        check_component,
        check_dataset,
        check_evaluator,
        check_extractor,
        check_harmonizer,
        checks_of,
        run_checks,
    )
    from harmbench.testing.model import Check, CheckFailed, Inapplicable, Result
    from harmbench.testing.parametrize import parametrize_with_checks
    from harmbench.testing.subjects import Subject, find_subjects
    from harmbench.testing.tables import confounded_table, null_table, tiny_table

__all__ = [
    "Check",
    "CheckFailed",
    "Inapplicable",
    "Result",
    "Subject",
    "check_component",
    "check_dataset",
    "check_evaluator",
    "check_extractor",
    "check_harmonizer",
    "checks_of",
    "confounded_table",
    "find_subjects",
    "null_table",
    "parametrize_with_checks",
    "run_checks",
    "tiny_table",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in ("model", "subjects", "parametrize", "kit", "tables"):  # what needs NumPy comes last
            module = importlib.import_module(f"harmbench.testing.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'harmbench.testing' has no attribute {name!r}")
