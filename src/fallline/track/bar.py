"""A run at a terminal: a bar that moves, and above it a line per epoch that stays."""

from __future__ import annotations

import time

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fallline.records import Outcome, Record
from fallline.track import wording
from fallline.track.terminal import SECONDS_BETWEEN_DRAWINGS
from fallline.track.tracker import RunStart


class _Console(Console):
    """rich's console, but a reader that has gone is for the tracker's owner to judge."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class BarTracker:
    """Epoch, images/s, loss, accuracy, rate and time left, redrawn at most four times a second.

    It is drawn when measurements come, without a thread of its own, and leaves the cursor
    visible: nothing has to be mended in a terminal whose run was killed.
    """

    def __init__(self, start: RunStart) -> None:
        self._start = start
        self._values: dict[str, float | str] = {}
        self._step = self._first_step = start.resumed_at or 0
        self._began = time.monotonic()
        self._drawn_at = 0.0
        self._console = _Console(highlight=False, markup=False, emoji=False)
        self._print([*wording.header(start), "", wording.titles()])
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()
        self._console.show_cursor(True)
        self._draw()

    def log(self, record: Record) -> None:
        """Moves the bar; an epoch leaves its line."""
        self._step = max(self._step, record.step)
        self._values |= record.values
        if record.event == "epoch":
            self._print([wording.epoch_line(record)])
        if time.monotonic() - self._drawn_at >= SECONDS_BETWEEN_DRAWINGS:
            self._draw()

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Draws no pictures."""

    def finish(self, outcome: Outcome) -> None:
        """Takes the bar away and prints the summary."""
        self._live.stop()
        first, *others = wording.summary(self._start, outcome)
        self._print([""])
        colour = "green" if outcome.status == "completed" else "yellow"
        self._console.print(Text(first, style=f"bold {colour}"), soft_wrap=True)
        self._print(others)

    def _print(self, lines: list[str]) -> None:
        for line in lines:
            self._console.print(Text(line), soft_wrap=True)

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        try:
            self._live.update(self._bar(), refresh=True)
        except OSError:  # the terminal has gone: give back the streams that were redirected
            self._live.stop()
            raise

    def _bar(self) -> Table:
        """One line: epoch, bar, measurements, time left."""
        total = self._start.total_steps
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, width=max(6, min(28, self._console.width - 74)))
        grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_row(
            Text(f"epoch {self._epoch()}/{wording.epochs(self._start)}", style="bold"),
            ProgressBar(total=total, completed=self._step),
            Text(self._measured()),
        )
        return grid

    def _epoch(self) -> int:
        """The epoch under way, counted from 1."""
        under_way = self._step // max(1, self._start.steps_per_epoch) + 1
        return min(under_way, wording.epochs(self._start))

    def _measured(self) -> str:
        values = self._values
        parts = [f"{self._time_left()} left"]
        if "train/batch_loss" in values:
            parts.append(f"loss {values['train/batch_loss']:.3f}")
        if "val/accuracy" in values:
            parts.append(f"val {wording.percent(values['val/accuracy'])}")
        if "lr" in values:
            parts.append(f"lr {wording.lr(values['lr'])}")
        if "images_per_second" in values:
            parts.append(f"{wording.whole(values['images_per_second'])} images/s")
        return "  ".join(parts)

    def _time_left(self) -> str:
        """By the wall clock of this session, evaluation and saving included."""
        done = self._step - self._first_step
        if done <= 0:
            return "-:--:--"
        each = (time.monotonic() - self._began) / done
        return wording.clock((self._start.total_steps - self._step) * each)
