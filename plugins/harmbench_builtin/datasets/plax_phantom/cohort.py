"""Which hearts there are, what they have, and which scanner sees them: the design, with exact counts.

Every count follows from the position of a heart alone. Seats are handed out one after the other to whoever lacks most
(Sainte-Lague), so the first n hearts of a larger cohort are the cohort of n hearts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from harmbench.errors import UsageError, suggestion
from harmbench_builtin.datasets.plax_phantom.acquisition import FIRST, SECOND, THIRD
from harmbench_builtin.datasets.plax_phantom.anatomy import CLASSES, Diagnosis

# name: (type, lowest, highest, whether the highest is allowed)
_ALLOWED: dict[str, tuple[type, float, float, bool]] = {
    "patients": (int, 4, 100_000, True),
    "paired": (int, 0, 100_000, True),
    "ratio": (float, 0.05, 20.0, True),
    "prevalence": (float, 0.05, 0.95, True),
    "confounding": (float, 0.0, 1.0, False),
    "tissue_effect": (float, 0.0, 3.0, True),
    "anatomy_effect": (float, 0.0, 1.0, True),
    "manufacturer_effect": (float, 0.0, 1.0, True),
    "size": (int, 64, 1024, True),
    "seed": (int, 0, 2**63 - 1, True),
}


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The design of a phantom data set.

    Parameters
    ----------
    patients : int, 4 to 100 000
        Hearts in the cohort; each is scored on one scanner.
    paired : int, 0 to `patients`
        The first so many hearts are also seen by the other scanner or scanners, for paired agreement only.
    ratio : float, 0.05 to 20
        GE-like to Philips-like hearts.
    third_scanner : bool
        A Toshiba-like scanner with as many hearts as the Philips-like one.
    prevalence : float, 0.05 to 0.95
        Share p of HCM.
    confounding : float c in [0, 1)
        HCM has the share p + c min(p, 1-p) on the GE-like scanner, p - c min(p, 1-p) on the Philips-like one and p on
        the third: 0 is equal; p = 0.5 with c = 0.8 is 0.9 against 0.1. The overall share then follows from `ratio`.
    tissue_effect : float, 0 to 3
        Contrast of texture between the diagnoses; 0 is none, 1 the table of `tissue`.
    anatomy_effect : float, 0 to 1
        Contrast of wall thickness and cavity; 0 is none. With both effects 0 nothing tells the diagnosis.
    manufacturer_effect : float, 0 to 1
        0: all scanners have the mean profile; 1: the profiles of `acquisition`.
    size : int, 64 to 1024
        Pixels per side.
    seed : int

    Raises
    ------
    UsageError
        Names the parameter and what is allowed.
    """

    patients: int = 200
    paired: int = 40
    ratio: float = 4.0
    third_scanner: bool = False
    prevalence: float = 0.5
    confounding: float = 0.0
    tissue_effect: float = 1.0
    anatomy_effect: float = 1.0
    manufacturer_effect: float = 1.0
    size: int = 224
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (kind, low, high, closed) in _ALLOWED.items():
            object.__setattr__(self, name, _checked(name, getattr(self, name), kind, low, high, closed))
        if not isinstance(self.third_scanner, bool):
            raise UsageError(f"plax-phantom: third_scanner must be true or false, not {self.third_scanner!r}.")
        if self.paired > self.patients:
            raise UsageError(
                f"plax-phantom: paired must be from 0 to patients ({self.patients}), not {self.paired}: "
                "paired hearts are taken from the cohort."
            )
        if self.confounding > 0:
            self._refuse_perfect_confounding()

    def _refuse_perfect_confounding(self) -> None:
        members = cohort(self)
        for manufacturer in manufacturers(self):
            labels = {m.label for m in members if m.manufacturer == manufacturer}
            if len(labels) < 2:
                raise UsageError(
                    f"plax-phantom: confounding={self.confounding:g} leaves one diagnosis only among the "
                    f"{manufacturer} hearts of patients={self.patients}; confounding must not be perfect. "
                    "Allowed: a smaller confounding, or more patients."
                )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Parameters:
        """From a mapping; an unknown name is a `UsageError` with a suggestion."""
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                raise UsageError(f"plax-phantom has no parameter '{name}'.{suggestion(name, known)}")
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """All parameters by name."""
        return asdict(self)


def _checked(name: str, value: Any, kind: type, low: float, high: float, closed: bool) -> int | float:
    allowed = f"from {low:g} to {high:g}" if closed else f"at least {low:g} and below {high:g}"
    words = "a whole number" if kind is int else "a number"
    complaint = UsageError(f"plax-phantom: {name} must be {words} {allowed}, not {value!r}.")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise complaint
    if kind is int and value != int(value):
        raise complaint
    if value < low or value > high or (value == high and not closed):
        raise complaint
    return int(value) if kind is int else float(value)


@dataclass(frozen=True)
class Member:
    """One heart of the cohort: its position, its diagnosis and the scanner that its score counts on."""

    index: int
    label: Diagnosis
    manufacturer: str

    @property
    def patient(self) -> str:
        return f"heart-{self.index:05d}"


def manufacturers(parameters: Parameters) -> tuple[str, ...]:
    """The scanners of the data set."""
    return (FIRST, SECOND, THIRD) if parameters.third_scanner else (FIRST, SECOND)


def hcm_shares(parameters: Parameters) -> dict[str, float]:
    """Share of HCM on each scanner (the rule of `confounding`)."""
    p = parameters.prevalence
    shift = parameters.confounding * min(p, 1 - p)
    shares = {FIRST: p + shift, SECOND: p - shift, THIRD: p}
    return {name: shares[name] for name in manufacturers(parameters)}


def _next(weights: list[float], held: list[int]) -> int:
    """Who gets the next seat: the largest weight / (2 held + 1); the first of equals."""
    return max(range(len(weights)), key=lambda i: (weights[i] / (2 * held[i] + 1), -i))


def cohort(parameters: Parameters) -> tuple[Member, ...]:
    """The hearts in order; every prefix has the counts of a smaller cohort."""
    names = manufacturers(parameters)
    weights = [parameters.ratio] + [1.0] * (len(names) - 1)
    shares = hcm_shares(parameters)
    held = [0] * len(names)
    classes = {name: [0, 0] for name in names}
    members = []
    for index in range(parameters.patients):
        scanner = _next(weights, held)
        held[scanner] += 1
        name = names[scanner]
        label = _next([1 - shares[name], shares[name]], classes[name])
        classes[name][label] += 1
        members.append(Member(index, CLASSES[label], name))
    return tuple(members)
