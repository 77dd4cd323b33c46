"""What methods that learn from a table and work row by row have in common: checks, and one place for the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Self, TypeVar

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench.errors import DataError, UsageError
from harmbench_builtin.harmonizers.checks import require_features, require_finite

State = TypeVar("State")


class TableMethod(ABC, Generic[State]):
    """A feature harmonizer as two functions: what it learns, and what it makes of rows.

    A subclass names itself and gives `learn` and `apply`; neither may write to the table.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._fitted: tuple[State, tuple[str, ...]] | None = None

    @abstractmethod
    def learn(self, table: FeatureTable, context: Context) -> State:
        """The state, from training rows whose values are finite; there is at least one."""

    @abstractmethod
    def apply(self, state: State, table: FeatureTable) -> Floats:
        """New values (n, p), each row by itself; the values are finite and the columns are those of the fit."""

    def fit(self, table: FeatureTable, context: Context) -> Self:
        """Learn from these rows only; an earlier fit is forgotten.

        Raises
        ------
        DataError
            No row, or a value that is not finite.
        NotApplicable, UsageError
            See the class.
        """
        self._fitted = None
        if not len(table):
            raise DataError(f"{self.name} learns from training rows, but there are none.")
        require_finite(table, self.name)
        self._fitted = (self.learn(table, context), table.features)
        return self

    @property
    def fitted(self) -> State:
        """What the last fit learned.

        Raises
        ------
        UsageError
            There was none.
        """
        if self._fitted is None:
            raise UsageError(f"{self.name} has not been fitted; call fit before transform.")
        return self._fitted[0]

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Change values; rows, columns and all else stay.

        Raises
        ------
        DataError
            Other features than in the fit, or a value that is not finite.
        UnseenManufacturer
            See the class.
        """
        state = self.fitted
        assert self._fitted is not None  # `fitted` has raised otherwise
        require_features(table, self._fitted[1], self.name)
        require_finite(table, self.name)
        return table.with_values(self.apply(state, table))
