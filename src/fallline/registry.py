"""The table: how every choice in the package is declared, listed and looked up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar

from fallline.errors import ConfigError, Fault, unknown_name


class Row(Protocol):
    """What every row has; a table's own rows have more."""

    @property
    def name(self) -> str:
        """The word people type."""

    @property
    def summary(self) -> str:
        """One line for `fallline list`."""


R = TypeVar("R", bound=Row)


class Table(Generic[R]):
    """Rows by name, in the order they were declared.

    Args:
        noun: what a row is, as an error message calls it ("optimizer").
        rows: the rows; names are unique.
        shown_by: the command that prints the table, where there is one.
    """

    def __init__(self, noun: str, rows: Iterable[R], shown_by: str | None = None) -> None:
        self.noun, self.shown_by = noun, shown_by
        self._rows: dict[str, R] = {}
        for row in rows:
            if row.name in self._rows:
                raise ValueError(f"two rows of the {noun} table are named {row.name}")
            self._rows[row.name] = row

    def __getitem__(self, name: str) -> R:
        """The row of that name; raises ConfigError with a suggestion if there is none."""
        if name in self._rows:
            return self._rows[name]
        raise ConfigError(self.unknown(name))

    def unknown(self, name: str) -> Fault:
        """The fault of a name that no row has."""
        hint = self.shown_by and f"see them with: {self.shown_by}"
        return unknown_name(self.noun, name, self.names, next=hint)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[R]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, in order."""
        return tuple(self._rows)


def load(target: str) -> Any:
    """The object a row points to as "package.module:name".

    Rows point instead of importing, so that listing a table and checking a config need no torch.
    A test loads every target of every table.
    """
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
