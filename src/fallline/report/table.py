"""A table: cells that know what they show and what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fallline.report import wording
from fallline.report.estimate import Estimate
from fallline.report.metric import Metric


@dataclass(frozen=True)
class Column:
    """A column; `numeric` ones are aligned right and sorted by number."""

    title: str
    numeric: bool


@dataclass(frozen=True)
class Cell:
    """A cell: what it shows, what it is sorted by and in CSV, and a remark beside it."""

    text: str
    key: float | str | None
    remark: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of a report; the first cell of a row is its name."""

    kind: ClassVar[str] = "grid"
    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def columns(*titles: str) -> tuple[Column, ...]:
    """Columns by their titles; a # before one marks it numeric."""
    return tuple(Column(title.removeprefix("#"), title.startswith("#")) for title in titles)


def word(text: str, remark: str = "") -> Cell:
    """A cell of text."""
    return Cell(text, text, remark)


def number(value: float | None, text: str | None = None, remark: str = "") -> Cell:
    """A cell of a number; by default in four digits."""
    if value is None:
        return Cell(wording.NOTHING, None, remark)
    return Cell(wording.number(value) if text is None else text, value, remark)


def measured(metric: Metric, estimate: Estimate | None) -> Cell:
    """A cell of an estimate: its mean and half its interval."""
    return Cell(wording.plus_minus(metric, estimate), estimate.value if estimate else None)


def lines(grid: Grid) -> Sequence[Sequence[object]]:
    """The table as plain values, titles first."""
    return [
        [column.title for column in grid.columns],
        *([cell.key for cell in row] for row in grid.rows),
    ]
