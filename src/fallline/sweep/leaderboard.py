"""A sweep at a terminal: the best, trainings under way with their curves, who was stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fallline.sweep.coordinator import Began, News, Note, Over
from fallline.sweep.results import Result
from fallline.sweep.scene import Scene, Standings
from fallline.sweep.wording import header, number, settings, sparkline, summary, worth
from fallline.track.terminal import SECONDS_BETWEEN_DRAWINGS, clean
from fallline.track.wording import clock

BEST: Final = 8
STOPPED: Final = 4


class Leaderboard:
    """Redrawn when news come, at most four times a second, without a thread of its own.

    The cursor stays visible: nothing has to be mended in a terminal whose sweep was killed.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._drawn_at = 0.0
        self._running: dict[str, int] = {}  # trials by the keys of tasks under way
        self._console = Console(highlight=False, markup=False, emoji=False)
        for line in header(scene):
            self._console.print(Text(line), soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()
        self._console.show_cursor(True)

    def __call__(self, news: News) -> None:
        """Draws, if that is due; notes stay above the board."""
        match news:
            case Began(task):
                self._running[task.key] = self._scene.trial(task).number
            case Over(task):
                self._running.pop(task.key, None)
            case Note(text):
                self._console.print(Text(text, style="yellow"), soft_wrap=True)
        if time.monotonic() - self._drawn_at >= SECONDS_BETWEEN_DRAWINGS:
            self._drawn_at = time.monotonic()
            board = drawn(self._scene, self._running, self._console.height)
            self._live.update(board, refresh=True)

    def finish(self, result: Result) -> None:
        """Takes the board away and prints the summary."""
        self.close()
        for line in ["", *summary(self._scene, result)]:
            self._console.print(Text(line), soft_wrap=True)

    def close(self) -> None:
        """Gives the terminal back."""
        self._live.stop()


def drawn(scene: Scene, running: Mapping[str, int], height: int) -> Group:
    """The board: the best, who is running, who was stopped.

    Args:
        scene: the sweep.
        running: the trial of each task under way, by its key.
        height: lines there is room for.
    """
    now = scene.standings()
    best = max(1, min(BEST, height - 7 - len(running) - min(STOPPED, len(now.stopped))))
    progress = Text(f"\n{_progress(scene, now)}", style="bold")
    stopped = [_stopped(now)] if now.stopped else []
    return Group(progress, _best(scene, now, best), _running(scene, running), *stopped)


def _best(scene: Scene, now: Standings, most: int) -> Table:
    grid = _grid("best", now.metric, "")
    for place, trial in enumerate(now.best[:most]):
        score = _line(worth(trial.score, scene.file), "green" if not place else "")
        grid.add_row(f"{trial.number}", score, _line(settings(scene.file, trial)))
    return grid


def _running(scene: Scene, running: Mapping[str, int]) -> Table:
    """Trainings under way: the curve of a first seed, and where it is."""
    grid = _grid("running", "curve", "")
    for key, which in running.items():
        trial = scene.search.trials[which]
        name = key.removeprefix("trial-").replace("-seed", " seed ").lstrip("0")
        curve = [value for _, value in trial.curve] if key.endswith("seed0") else []
        last = f" {number(curve[-1], scene.file)}" if curve else ""
        shown, chosen = sparkline(curve) + last, settings(scene.file, trial)
        name = name if name[0] != " " else f"0{name}"
        grid.add_row(name, _line(shown, "cyan"), _line(chosen))
    return grid


def _stopped(now: Standings) -> Table:
    grid = _grid("stopped", "why", "")
    for trial in now.stopped[:STOPPED]:
        why = clean(trial.reason.partition("\n")[0])
        grid.add_row(f"{trial.number}", _line(f"{trial.status}: {why}", "yellow"), "")
    return grid


def _grid(*titles: str) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for place, title in enumerate(titles):
        grid.add_column(title, no_wrap=place == 0)  # which keeps its width
    return grid


def _line(text: str, style: str = "") -> Text:
    """A cell that is cut off where there is no room, and not wrapped."""
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _progress(scene: Scene, now: Standings) -> str:
    """How many are done, how long it has taken, how long it may take."""
    of = f" of {now.cap:,}" if now.cap is not None else ""
    most = "at most " if scene.file.extension.seeds > 1 else ""  # rounds of seeds may be smaller
    rest = f", {most}{clock(now.seconds_left)} left" if now.seconds_left is not None else ""
    budget = f", budget left: {', '.join(now.left)}" if now.left else ""
    return f"{now.ended:,}{of} configurations done, {clock(now.seconds)}{rest}{budget}"
