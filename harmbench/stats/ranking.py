"""Gate, then goal: first keep the signal, then remove as much of the scanner as possible.

There is no weighted total. A method passes the gate when it is not worse than `none` by more than a margin; methods
that pass are ordered by the goal; ranks are intervals, and methods whose paired difference includes 0 share one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harmbench.data import Floats
from harmbench.stats.bootstrap import interval


@dataclass(frozen=True)
class Contender:
    """What ranking needs of one method.

    Parameters
    ----------
    name : str
    signal, goal : float
        Point values.
    signal_replicates, goal_replicates : float arrays (B,) or None
        On the same patient resamples for every contender.
    measured : float, optional
        The goal as it was measured, where `goal` was set to a bound beyond which nothing is gained: it orders those
        that are equal there. Default: `goal`.
    """

    name: str
    signal: float
    goal: float
    signal_replicates: Floats | None
    goal_replicates: Floats | None
    measured: float | None = None

    def place(self, sign: float) -> tuple[float, float, str]:
        """What it is ordered by: the goal, then the goal as it was measured, then the name."""
        return sign * self.goal, sign * (self.goal if self.measured is None else self.measured), self.name


@dataclass(frozen=True)
class Standing:
    """Where a method stands.

    Parameters
    ----------
    passed : bool
    difference : (float, float, float)
        Signal minus that of `none`: point, lower and upper 95 % bound.
    reason : str
        Why it did not pass, "" if it did.
    rank : (int, int) or None
        Best and worst rank that the data allow; None when not passed.
    group : int or None
        Methods with the same number cannot be told from their neighbour in the order: a new group begins where the
        paired difference to the one before excludes 0. None when not passed.
    """

    passed: bool
    difference: tuple[float, float, float]
    reason: str
    rank: tuple[int, int] | None
    group: int | None = None


def gate_then_goal(
    contenders: Sequence[Contender],
    reference: Contender,
    delta: float,
    goal_direction: Literal["min", "max"] = "min",
    signal_direction: Literal["min", "max"] = "max",
) -> Mapping[str, Standing]:
    """Rank methods.

    Parameters
    ----------
    contenders : sequence of Contender
        Complete, inductive methods; `reference` among them.
    reference : Contender
        `none`.
    delta : float
        A method passes when the lower 95 % bound of its signal minus the reference's is above -delta.
    goal_direction, signal_direction : {"min", "max"}
        Which way is better.

    Returns
    -------
    mapping of name to Standing
        In order: passed ones by the goal, then the others by the lower bound of their signal difference.
    """
    standings: dict[str, Standing] = {}
    passed: list[Contender] = []
    for c in contenders:
        difference = _difference(c, reference, 1.0 if signal_direction == "max" else -1.0)
        if c.name == reference.name:
            passed.append(c)
            standings[c.name] = Standing(True, (0.0, 0.0, 0.0), "", None)
        elif difference[1] > -delta:
            passed.append(c)
            standings[c.name] = Standing(True, difference, "", None)
        else:
            reason = f"not shown to keep the signal: it may fall by {-difference[1]:.3f}, more than {delta:g}"
            standings[c.name] = Standing(False, difference, reason, None)
    sign = 1.0 if goal_direction == "min" else -1.0
    group = tie_groups(passed, goal_direction)
    for c in passed:
        better = sum(_surely_below(other, c, sign) for other in passed if other is not c)
        worse = sum(_surely_below(c, other, sign) for other in passed if other is not c)
        old = standings[c.name]
        standings[c.name] = Standing(True, old.difference, "", (1 + better, len(passed) - worse), group[c.name])
    place = {c.name: c.place(sign) for c in contenders}

    def order(item: tuple[str, Standing]) -> tuple[object, ...]:
        name, standing = item
        return (not standing.passed, *(place[name] if standing.passed else (-standing.difference[1], name)))

    return dict(sorted(standings.items(), key=order))


def tie_groups(contenders: Sequence[Contender], goal_direction: Literal["min", "max"] = "min") -> Mapping[str, int]:
    """Number the groups of methods that stand side by side and cannot be told apart by the goal, 1 for the best.

    In the order of the goal, a method joins the group of the one before it when the 95 % interval of their paired
    difference includes 0, or when one of them has no replicates. Groups are chains: the first and the last of a long
    one may well differ, which the rank intervals show.
    """
    sign = 1.0 if goal_direction == "min" else -1.0
    order = sorted(contenders, key=lambda c: c.place(sign))
    groups: dict[str, int] = {}
    for i, c in enumerate(order):
        apart = i > 0 and _surely_below(order[i - 1], c, sign)
        groups[c.name] = groups[order[i - 1].name] + apart if i else 1
    return groups


def _difference(c: Contender, reference: Contender, sign: float) -> tuple[float, float, float]:
    point = sign * (c.signal - reference.signal)
    if c.signal_replicates is None or reference.signal_replicates is None:
        return (point, float("-inf"), float("inf"))
    low, high = interval(sign * (c.signal_replicates - reference.signal_replicates))
    return (point, float(low), float(high))


def _surely_below(a: Contender, b: Contender, sign: float) -> bool:
    """Whether the whole paired interval of a - b lies on the better side of 0."""
    if a.goal_replicates is None or b.goal_replicates is None:
        return False
    return bool(interval(sign * (a.goal_replicates - b.goal_replicates))[1] < 0)
