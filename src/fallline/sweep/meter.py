"""What a sweep has used up, and which budget that exhausts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from fallline.sweep.backend import Ended, Task
from fallline.sweep.coordinator import Began, Evaluated, News, Over, Result
from fallline.sweep.schema import Budget
from fallline.track.wording import clock

HOUR: Final = 3600.0


class Meter:
    """Counts wall time, epochs and device hours, over all sessions of a sweep.

    What trainings under way have used counts while they run.

    Args:
        budget: the limits; trials are the search's to count.
        spent: what earlier sessions used up: `seconds`, `epochs`, `device_seconds`.
        keep: puts it on record.
    """

    def __init__(
        self,
        budget: Budget,
        spent: Mapping[str, float],
        keep: Callable[[Mapping[str, float]], None],
    ) -> None:
        self._budget, self._keep = budget, keep
        self._before = {"seconds": 0.0, "epochs": 0.0, "device_seconds": 0.0} | dict(spent)
        self._began = time.monotonic()
        self._since: dict[str, float] = {}  # when each running task began
        self._epochs: dict[str, int] = {}

    @property
    def seconds(self) -> float:
        """Wall time of all sessions."""
        return self._before["seconds"] + time.monotonic() - self._began

    @property
    def epochs(self) -> float:
        """Epochs trained."""
        return self._before["epochs"] + sum(self._epochs.values())

    @property
    def device_seconds(self) -> float:
        """Seconds that devices (GPUs, or a worker's share of the CPU) were held."""
        now = time.monotonic()
        return self._before["device_seconds"] + sum(now - since for since in self._since.values())

    def used_up(self) -> str | None:
        """Which limit is reached, in words, or None."""
        limit = self._budget
        if limit.time is not None and self.seconds >= limit.time:
            return f"the time is used up: {clock(limit.time)}"
        if limit.epochs is not None and self.epochs >= limit.epochs:
            return f"the epochs are used up: {limit.epochs:g}"
        if limit.device_hours is not None and self.device_seconds >= limit.device_hours * HOUR:
            return f"the device hours are used up: {limit.device_hours:g}"
        return None

    def left(self) -> list[str]:
        """What is left of each limit, in words."""
        limit, left = self._budget, []
        if limit.time is not None:
            left.append(clock(limit.time - self.seconds))
        if limit.epochs is not None:
            left.append(f"{max(0.0, limit.epochs - self.epochs):.4g} epochs")
        if limit.device_hours is not None:
            hours = max(0.0, limit.device_hours - self.device_seconds / HOUR)
            left.append(f"{hours:.2f} device hours")
        return left

    def __call__(self, news: News) -> None:
        """Counts what a sweep's news tell of."""
        match news:
            case Began(task):
                self._bank(task)  # another life: the one before held a device too
                lost = self._before.pop(_lost(task), 0)
                self._before["epochs"] -= 0 if task.program else lost  # a script begins anew
                self._since[task.key] = time.monotonic()
            case Evaluated(task, record):
                self._epochs[task.key] = record.epoch
            case Over(task, result):
                self._close(task, result)

    def _close(self, task: Task, result: Result) -> None:
        """Moves what a task used to the record."""
        self._bank(task)
        epochs: float = self._epochs.pop(task.key, 0)
        if isinstance(result, Ended):
            epochs = result.outcome.epochs
        elif epochs:
            self._before[_lost(task)] = epochs
        self._before["epochs"] += epochs
        self.save()

    def save(self) -> None:
        """Puts on record what is used up, trainings under way included, but for their epochs.

        Those count when they end, with all that came before a stop.
        """
        told = {"seconds": self.seconds, "device_seconds": self.device_seconds}
        self._keep(self._before | told)

    def _bank(self, task: Task) -> None:
        now = time.monotonic()
        self._before["device_seconds"] += now - self._since.pop(task.key, now)


def _lost(task: Task) -> str:
    """Under which name the epochs of a life that came to nothing are kept: the next has them."""
    return f"epochs of {task.key}"
