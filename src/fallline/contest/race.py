"""A comparison at a terminal: a lane per optimizer with its best curve, value and budget."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fallline.compare.comparison import Comparison
from fallline.contest.boards import Scene
from fallline.contest.lane import Lane, lanes_of, leaders_of
from fallline.contest.wording import accuracy, header, summary
from fallline.sweep.coordinator import News, Note, Over
from fallline.sweep.wording import sparkline
from fallline.track.terminal import SECONDS_BETWEEN_DRAWINGS
from fallline.track.wording import clock

CELLS: Final = 16  # of a lane's bar
LOST: Final = " {} lost"


class Race:
    """Redrawn when news come, at most four times a second, without a thread of its own.

    The cursor stays visible: nothing has to be mended in a terminal whose comparison was killed.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene, self._drawn_at, self._ended = scene, 0.0, 0
        self._console = Console(highlight=False, markup=False, emoji=False)
        search = scene.search
        for line in header(search.plan, scene.folder, scene.slots, search.left()):
            self._console.print(Text(line), soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()
        self._console.show_cursor(True)

    def __call__(self, news: News) -> None:
        """Draws, if that is due; notes stay above the lanes."""
        match news:
            case Note(text):
                self._console.print(Text(text, style="yellow"), soft_wrap=True)
            case Over(task):
                self._ended += self._scene.search.slate(task).phase != "calibrate"
        if time.monotonic() - self._drawn_at >= SECONDS_BETWEEN_DRAWINGS:
            self._drawn_at = time.monotonic()
            self._live.update(self.drawn(lanes_of(self._scene.search)), refresh=True)

    def finish(self, found: Comparison, page: Path | None) -> None:
        """Takes the lanes away and prints the ranking."""
        self.close()
        for line in summary(found, self._scene.folder, page):
            self._console.print(Text(line), soft_wrap=True)

    def close(self) -> None:
        """Gives the terminal back."""
        self._live.stop()

    def drawn(self, lanes: Sequence[Lane]) -> Group:
        """The race as it stands."""
        return Group(Text(f"\n{self._progress(lanes)}", style="bold"), grid(lanes))

    def _progress(self, lanes: Sequence[Lane]) -> str:
        ended, planned = sum(lane.ended for lane in lanes), sum(lane.planned for lane in lanes)
        seconds = time.monotonic() - self._scene.began
        rest = (planned - ended) * seconds / self._ended if self._ended else None
        left = "" if rest is None else f", about {clock(rest)} left"
        return f"{ended} of {planned} trainings done, {clock(seconds)}{left}"


def grid(lanes: Sequence[Lane]) -> Table:
    """The lanes below each other; the leader of each model is green."""
    leaders = leaders_of(lanes)
    several = len({lane.workload for lane in lanes}) > 1
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in (
        "optimizer",
        "best curve",
        "best on val",
        "budget used",
        "gradients",
        "training",
        "",
    ):
        table.add_column(title, no_wrap=True)
    for lane in lanes:
        name = f"{lane.workload} {lane.optimizer}" if several else lane.optimizer
        style = "green" if leaders.get(lane.workload) == lane else ""
        lost = LOST.format(lane.lost) if lane.lost else ""
        table.add_row(
            Text(name, style=style),
            Text(sparkline(lane.curve), style="cyan"),
            Text(accuracy(lane.value), style=style),
            f"{_bar(lane)} {lane.ended}/{lane.planned}",
            f"{lane.gradients:,.0f}",
            clock(lane.seconds),
            Text(f"{lane.phase}{lost}", style="yellow" if lost else "dim"),
        )
    return table


def _bar(lane: Lane) -> str:
    full = CELLS * lane.ended // max(1, lane.planned)
    return "━" * full + "─" * (CELLS - full)
