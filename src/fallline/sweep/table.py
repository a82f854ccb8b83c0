"""The tables of sweeps: how one is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fallline.registry import Table, load
from fallline.sweep.coordinator import News
from fallline.sweep.results import Result
from fallline.sweep.scene import Scene


class Board(Protocol):
    """Shows a sweep while it runs."""

    def __call__(self, news: News) -> None:
        """Takes news."""

    def finish(self, result: Result) -> None:
        """The sweep has ended."""

    def close(self) -> None:
        """Gives the terminal back, whatever happened."""


@dataclass(frozen=True)
class BoardRow:
    """A row. `target` points to a class that takes a Scene."""

    name: str
    summary: str
    target: str

    def build(self, scene: Scene) -> Board:
        """The board of a sweep."""
        board: Board = load(self.target)(scene)
        return board


BOARDS = Table(
    "way to show",
    [
        BoardRow(
            "bar",
            "a leaderboard that is redrawn; what a terminal gets",
            "fallline.sweep.leaderboard:Leaderboard",
        ),
        BoardRow(
            "lines",
            "a line per training; what log files and pipes get",
            "fallline.sweep.lines:LinesBoard",
        ),
        BoardRow("quiet", "the best in one line; --quiet", "fallline.sweep.lines:QuietBoard"),
        BoardRow("json", "one JSON object per event; --json", "fallline.sweep.lines:JsonBoard"),
    ],
)
