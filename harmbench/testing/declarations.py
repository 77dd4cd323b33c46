"""Checks of what every component declares: its spec, what registering costs, cache keys, requirements, quiet."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

from harmbench.errors import HarmbenchError
from harmbench.plugins import missing_requirements
from harmbench.testing.harness import stdout_caught
from harmbench.testing.model import CheckFailed, Inapplicable, require
from harmbench.testing.probe import registered_modules, run_elsewhere
from harmbench.testing.subjects import Subject

METHODS = {
    "harmonizer": ("fit", "transform"),
    "extractor": ("extract",),
    "evaluator": ("evaluate",),
    "dataset": ("load",),
}
_REFERENCE = re.compile(
    r"10\.\d{4,9}/\S+|arXiv:\d{4}\.\d{4,5}|ISBN[ :]*[\dX-]{10,}|https?://\S+|\b(19|20)\d{2}\b", re.IGNORECASE
)


def load_class(subject: Subject) -> Any:
    """The class behind the target."""
    from harmbench.specs import load_target

    return load_target(subject.spec.target)


def parameters_of(target: Any) -> dict[str, inspect.Parameter] | None:
    """The keywords that a class takes; None when it takes any."""
    found = {k: v for k, v in inspect.signature(target).parameters.items() if k != "self"}
    if any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in found.values()):
        return None
    return found


def check_spec(subject: Subject) -> None:
    """The spec is what people see of a component before they run it, and the class has to agree with it.

    Fails when the summary is empty or ends with a full stop; when `reference` is neither empty nor a DOI, an arXiv
    number, an ISBN, an address, or at least a citation with its year; when the class lacks a method that the runner
    calls, or when the defaults of the constructor differ from `params` (a user of the class would get other numbers
    than a user of the command). Correct the spec, or the constructor.
    """
    spec = subject.spec
    require(spec.summary.strip(), "summary is empty; say in one line what it does")
    require(not spec.summary.rstrip().endswith("."), "summary ends with a full stop; it is a line in a table")
    require(
        not spec.reference or _REFERENCE.search(spec.reference),
        f"reference {spec.reference!r} holds no DOI ('10.xxxx/...'), no 'arXiv:...', no address and no year",
    )
    target = load_class(subject)
    for name in METHODS[subject.kind]:
        require(callable(getattr(target, name, None)), f"{spec.target} has no method {name}()")
    taken = parameters_of(target)
    for name, default in spec.params.items():
        if taken is None:
            continue
        require(name in taken, f"params has '{name}', but the constructor of {spec.target} takes no such keyword")
        own = taken[name].default
        require(
            own is inspect.Parameter.empty or own == default,
            f"'{name}' is {default!r} in params and {own!r} in the constructor; make them one",
        )
    for name, parameter in (taken or {}).items():
        require(
            name in spec.params or parameter.default is not inspect.Parameter.empty,
            f"the constructor needs '{name}', which params does not give",
        )


def check_registration(subject: Subject) -> None:
    """`harmbench list` asks every plugin for its specs, so what a plugin imports for that is paid on every command.

    Fails when importing the plugin's module and calling its `register_...` hooks loads a compiled or large package.
    Put the hooks into a module of their own (`plugin.py`), import nothing but `harmbench` there, and name classes by
    text: `target="my_package.method:MyMethod"`.
    """
    if subject.loose:
        raise Inapplicable("a loose file holds hooks and code together, and is loaded only when it is named")
    if not subject.module:
        raise Inapplicable("the spec was handed over directly; no plugin registers it")
    heavy = registered_modules(subject.module, subject.files)
    require(not heavy, f"registering imports {', '.join(heavy)}; import them where they are used, not in the plugin")


def check_keys(subject: Subject) -> None:
    """Two sets of parameters must never share a cache entry or a row of the results.

    Fails when a value in `params` cannot be part of a key (it must be JSON: numbers, text, true or false, lists), when
    changing a parameter leaves the key as it was, or when the constructor takes a keyword that `params` does not
    declare: nobody could set it with `--set`, and results made with it would be filed under the default. Declare every
    parameter in the spec's `params`.
    """
    from harmbench.methods import Component
    from harmbench.run.keys import digest

    def key(params: dict[str, Any]) -> str:
        try:
            return digest(Component(subject.spec, params).key())
        except (TypeError, ValueError) as error:
            raise CheckFailed(f"the parameters cannot be part of a key: {error}") from None

    params = dict(subject.params)
    base = key(params)
    require(base == key(dict(params)), "the same parameters gave two keys")
    for name, value in params.items():
        other = _another(value)
        if other is not None:
            require(key({**params, name: other}) != base, f"changing '{name}' does not change the cache key")
    taken = parameters_of(load_class(subject))
    hidden = sorted(set(taken or ()) - set(subject.spec.params))
    require(
        not hidden,
        f"the constructor takes {', '.join(map(repr, hidden))}, which params does not declare: no key would hold it",
    )


def _another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "-other"
    return None


def check_requirements(subject: Subject) -> None:
    """A user who installed what is declared, and nothing else, must be able to run the component.

    It is run in a fresh process that can import the distribution's `dependencies`, what `spec.requires` names, and
    what these need. Fails when the component's own code asks for another module and then breaks. Add it to
    `dependencies`, or make it an extra and name it in `requires`: `requires=("nyxus (pip install nyxus)",)`. Also fails
    when `device="cpu"` is declared and the GPU is used.
    """
    report = run_elsewhere(subject)
    if report.error and report.blocked:
        raise CheckFailed(
            f"it imports {', '.join(report.blocked)}, which neither the distribution's dependencies nor spec.requires "
            f"declare, and without it: {report.error}"
        )
    require(
        not (report.gpu and getattr(subject.spec, "device", "any") == "cpu"),
        "device='cpu' is declared, but a CUDA context was made; declare device='any'",
    )


def check_other_process(subject: Subject, here: tuple[list[str], list[float]]) -> None:
    """Compare what the component gives here with what it gives in a fresh process."""
    import numpy as np

    from harmbench.testing.measures import differs

    report = run_elsewhere(subject)
    if report.error:
        if report.blocked:
            return  # the check of requirements says so
        raise CheckFailed(f"in a fresh process: {report.error}")
    require(list(report.texts) == here[0], "a fresh process gives other names")
    what = differs(np.array(here[1])[:, None], np.array(report.values)[:, None])
    require(not what, f"a fresh process gives other numbers: {what}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Fail when the block writes on standard output."""
    with stdout_caught() as found:
        yield
    text = "".join(found).strip()
    shown = (text[:60] + "...") if len(text) > 60 else text
    require(not text, f"it writes on standard output: {shown!r}")


def clear_refusal(error: BaseException, where: str) -> None:
    """Accept an error that harmbench shows to users as it is; refuse one that only a programmer could read."""
    require(
        isinstance(error, HarmbenchError),
        f"{where}: {type(error).__name__}: {error}. Raise harmbench.DataError (or NotApplicable) and say what is wrong "
        "and what to do",
    )
    require(len(str(error)) >= 20, f"{where}: the error says only {str(error)!r}; say what is wrong and what to do")


def not_installed(subject: Subject) -> str:
    """Why the component cannot be run here; "" when it can."""
    missing = missing_requirements(subject.spec)
    return f"needs {', '.join(missing)}, which is not installed" if missing else ""
