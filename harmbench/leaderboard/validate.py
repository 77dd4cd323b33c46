"""Is a board, a run or a bundle sound? Every check says what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmbench.errors import HarmbenchError
from harmbench.leaderboard.files import is_run
from harmbench.leaderboard.model import Board
from harmbench.methods import Component
from harmbench.plugins import Registry
from harmbench.run.tied import stage_names


@dataclass
class Report:
    """What was checked.

    Parameters
    ----------
    where : str
    kind : {"board", "run", "bundle"}
    passed : list of str
        Checks that found nothing.
    problems : list of str
        Each makes it unsound.
    warnings : list of str
        What a maintainer should look at.
    unchecked : list of str
        What could not be looked up with what is installed here.
    """

    where: str
    kind: str
    passed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def check(self, name: str, find: Callable[[], list[str]]) -> bool:
        """Run a check; what it raises or returns are problems.

        Returns
        -------
        bool
            Whether it found nothing.
        """
        try:
            found = find()
        except HarmbenchError as error:
            found = [str(error)]
        except (KeyError, ValueError, TypeError, IndexError, OSError) as error:
            # A file that somebody made up may hold anything; that is a finding, not a crash.
            found = [f"unexpected content ({type(error).__name__}: {error})"]
        self.problems += [f"{name}: {text}" for text in found]
        if not found:
            self.passed.append(name)
        return not found

    def lines(self) -> list[str]:
        """For people."""
        return [
            *(f"ok       {text}" for text in self.passed),
            *(f"warning  {text}" for text in self.warnings),
            *(f"not checked  {text}" for text in self.unchecked),
            *(f"PROBLEM  {text}" for text in self.problems),
        ]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "where": self.where,
            "kind": self.kind,
            "sound": self.sound,
            "passed": self.passed,
            "problems": self.problems,
            "warnings": self.warnings,
            "unchecked": self.unchecked,
        }


def validate(path: Path, registry: Registry, *, rebuild: bool = True, n_jobs: int = 1) -> Report:
    """Check a board (leaderboard.json), a run folder or a bundle.

    Parameters
    ----------
    path : Path
    registry : Registry
        Where evaluators come from.
    rebuild : bool
        False: the stored figures are not rebuilt.
    n_jobs : int
        Threads that an evaluator may use.
    """
    from harmbench.leaderboard.check_board import check_board
    from harmbench.leaderboard.check_bundle import check_bundle
    from harmbench.leaderboard.check_run import check_run, wrong_schema

    if not is_run(path):
        report = Report(str(path), "board")
        check_board(report, path, registry)
        return report
    report = Report(str(path), "bundle" if is_bundle(path) else "run")
    if not report.check("schema", lambda: wrong_schema(path)):
        return report
    if is_bundle(path) and not check_bundle(report, path):
        return report  # what was changed since is not worth rebuilding
    check_run(report, path, registry, rebuild=rebuild, n_jobs=n_jobs)
    return report


def is_bundle(path: Path) -> bool:
    """Whether a run folder is one that was handed in."""
    from harmbench.leaderboard.bundle_format import SUBMISSION, SUMS

    return (path / SUBMISSION).exists() or (path / SUMS).exists()


def quality(board: Board) -> list[str]:
    """What is missing for a board to be believed: reference, controls, a canary that was caught."""
    found = []
    reference = board.row("none")
    if reference is None or reference.status != "ok":
        found.append("'none' did not run")
    if not any(row.role == "control" and row.status == "ok" for row in board.rows):
        found.append("no control ran")
    canaries = [row for row in board.rows if row.role == "canary" and row.status == "ok"]
    if not canaries:
        found.append("no leaking canary ran")
    found += [f"the canary '{r.method}' leaks and was not caught" for r in canaries if not r.audit.get("label_leak")]
    return found


def misnamed(records: Sequence[Mapping[str, Any]], registry: Registry) -> list[str]:
    """Records or rows whose name is not that of their stages and parameters, as far as those are known here."""
    found = []
    for record in records:
        if (names := stage_names(record["method"])) != [stage["name"] for stage in record["stages"]]:
            found.append(f"'{record['method']}' is recorded with stages that are not {', '.join(names)}")
            continue
        parts = []
        for stage in record["stages"]:
            if stage["name"] not in registry.harmonizers.entries:
                break
            spec = registry.harmonizers.get(stage["name"])
            if spec.version != stage["version"] or spec.params.keys() != stage["params"].keys():
                break
            parts.append(str(Component(spec, {name: stage["params"][name] for name in spec.params})))
        else:
            if (name := "+".join(parts)) != record["method"]:
                found.append(f"'{record['method']}' is recorded with the stages of '{name}'")
    return found


def undeclared_roles(records: Sequence[Mapping[str, Any]], registry: Registry) -> list[str]:
    """Records or rows that say otherwise than their methods' specs do: changed, or made with another version."""
    found = []
    for record in records:
        specs = []
        for stage in record["stages"]:
            if stage["name"] not in registry.harmonizers.entries:
                break
            spec = registry.harmonizers.get(stage["name"])
            if spec.version != stage["version"]:
                break  # not installed here, so there is nothing to hold it against
            specs.append(spec)
        else:
            roles = {spec.role for spec in specs}
            role = "canary" if "canary" in roles else "control" if "control" in roles else "method"
            declared: Mapping[str, Any] = {
                "role": role,
                "inductive": all(spec.inductive for spec in specs),
                "uses_label": any(spec.uses_label != "no" for spec in specs),
            }
            found += [
                f"'{record['method']}' is recorded with {name} {record[name]!r}, and declares {value!r}"
                for name, value in declared.items()
                if record[name] != value
            ]
    return found
