"""A backend whose trainings are known in advance: for claims about what a coordinator decides.

What a task does is a function of its trial and seed: the values it reports, then how it ends. One
evaluation of each running task happens per poll, in the order the tasks came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fallline.records import Outcome, Record
from fallline.sweep.backend import Ended, Event, Failed, Lost, Reported, Task

End = Callable[[str], Event]


def ended(status: Any = "completed", epochs: float = 1.0) -> End:
    outcome = Outcome(status, status, epochs, 1, 1.0, 1.0, 1)
    return lambda key: Ended(key, outcome)


def failed(kind: Any = "user") -> End:
    return lambda key: Failed(key, kind, "ValueError: no", "Traceback of it")


def lost() -> End:
    return lambda key: Lost(key, "its process was ended by SIGKILL")


@dataclass
class Plot:
    """What a training reports, epoch by epoch, and how it ends."""

    values: Sequence[float] = (0.5,)
    end: End = field(default_factory=ended)


@dataclass
class Scripted:
    """Runs plots."""

    plot_of: Callable[[int, int], Plot]
    slots: int = 1
    submitted: list[Task] = field(default_factory=list)
    pruned: dict[str, str] = field(default_factory=dict)
    closed: list[bool] = field(default_factory=list)
    _running: dict[str, list[Event]] = field(default_factory=dict)

    def submit(self, task: Task) -> None:
        self.submitted.append(task)
        plot = self.plot_of(task.trial["trial"], task.trial["seed"])
        reports: list[Event] = [
            Reported(
                task.key, Record("epoch", i, i, float(i), {"val/loss": 1 - v, "val/accuracy": v})
            )
            for i, v in enumerate(plot.values, 1)
        ]
        self._running[task.key] = [*reports, plot.end(task.key)]

    def poll(self, timeout: float) -> list[Event]:
        events = [self._running[key].pop(0) for key in list(self._running)]
        for event in events:
            if not isinstance(event, Reported):
                del self._running[event.key]
        return events

    def answer(self, key: str, prune: str | None) -> None:
        if prune is not None:
            self.pruned[key] = prune
            outcome = Outcome("pruned", prune, 1, 1, 1.0, 1.0, 1)
            self._running[key] = [Ended(key, outcome)]

    def close(self, *, save: bool) -> None:
        self.closed.append(save)
        for key in self._running:
            self._running[key] = []
        self._running = {}
