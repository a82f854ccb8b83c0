"""The loop of a search: ask for trainings, run them, judge what they report, tell what came of it.

One process, one thread. It alone decides and writes; backends only run tasks. It keeps nothing
that a kill could lose: what was asked, reported and told is the search's to keep.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from fallline.errors import ConfigError
from fallline.records import Record
from fallline.sweep.backend import Backend, Ended, Event, Failed, Lost, Reported, Task
from fallline.training.signals import StopRequest, stop_on_signals

SECONDS_BETWEEN_LOOKS: Final = 0.2  # at signals and budgets, while nothing happens
LIVES: Final = 4  # the first, and three more where whoever ran it died
FAILURES_IN_A_ROW: Final = 3

Result = Ended | Failed | Lost
"""What came of a task: an outcome, an error, or nothing after it was lost too often."""


class Search(Protocol):
    """Which trainings, in which order, and what came of them."""

    def ask(self) -> Task | None:
        """The next task; None: there is none, or none before a running one is told.

        Raises ConfigError for a configuration that cannot be trained, once; the search goes on.
        """

    def judge(self, task: Task, record: Record) -> str | None:
        """Why a training that reports this is to be stopped, or None."""

    def keep(self, task: Task, record: Record) -> None:
        """Puts the report on record; comes after `judge`, when the training goes on already."""

    def tell(self, task: Task, result: Result) -> None:
        """Puts on record what came of the task, which will not run again."""

    @property
    def expects_more(self) -> bool:
        """Whether `ask` may have a task later, although it has none and none is running."""

    def enough(self) -> str | None:
        """Why no more trainings are needed (a target is reached), or None."""


@dataclass(frozen=True)
class Began:
    """A task goes to the backend, for the first time or again."""

    task: Task


@dataclass(frozen=True)
class Evaluated:
    """A training evaluated an epoch."""

    task: Task
    record: Record


@dataclass(frozen=True)
class Over:
    """A task came to its end."""

    task: Task
    result: Result


@dataclass(frozen=True)
class Note:
    """Something a person should know."""

    text: str


@dataclass(frozen=True)
class Passing:
    """Some time has passed; a fraction of a second at most."""


News = Began | Evaluated | Over | Note | Passing
Audience = Callable[[News], None]
"""Whoever watches: a leaderboard, lines in a log, a meter."""


@dataclass(frozen=True)
class Ending:
    """Why the loop ended: nothing was left, or a reason to leave the rest for another time."""

    kind: Literal["finished", "enough", "budget", "signal", "failures"]
    reason: str
    signum: int | None = None

    def raise_for_signal(self) -> None:
        """What a program that was stopped by a signal does: KeyboardInterrupt or SystemExit."""
        if self.signum == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signum is not None:
            raise SystemExit(128 + self.signum)


@dataclass
class Coordinator:
    """Runs a search on a backend.

    Args:
        search: what to train.
        backend: what trains it; closed at the end.
        audience: who is told.
        used_up: which budget is used up, in words, or None; asked some times a second.
    """

    search: Search
    backend: Backend
    audience: Audience
    used_up: Callable[[], str | None] = lambda: None
    _running: dict[str, Task] = field(default_factory=dict)
    _lives: dict[str, int] = field(default_factory=dict)
    _failures: int = 0
    _is_empty: bool = False
    _is_closed: bool = False

    def run(self) -> Ending:
        """Runs the search until it has no more tasks, or there is a reason to stop before.

        Trainings that are under way then are saved and stay as they are; the same search goes on
        with them another time.
        """
        with stop_on_signals() as stopping:
            save = False
            try:
                while (ending := self._ending(stopping)) is None:
                    self._fill()
                    for event in self.backend.poll(0 if self._is_empty else SECONDS_BETWEEN_LOOKS):
                        self._handle(event)
                    self.audience(Passing())
                save = True
            finally:
                self.backend.close(save=save)
            self._hear_the_last()
        return ending

    def _ending(self, stopping: StopRequest) -> Ending | None:
        if stopping.signum is not None:
            return Ending("signal", f"stopped by {stopping.name}", stopping.signum)
        if self._failures >= FAILURES_IN_A_ROW:
            return Ending("failures", f"{self._failures} trainings in a row failed or were lost")
        if reason := self.search.enough():
            return Ending("enough", reason)
        if reason := self.used_up():
            return Ending("budget", reason)
        if self._is_empty and not self._running:
            return Ending("finished", "every training has ended")
        return None

    def _fill(self) -> None:
        """Fills free slots. The search is empty when it has no task although none is running."""
        while len(self._running) < self.backend.slots and self._failures < FAILURES_IN_A_ROW:
            try:
                task = self.search.ask()
            except ConfigError as error:
                self._count_failure(f"{error}")
                continue
            idle = task is None and not self._running
            self._is_empty = idle and not self.search.expects_more
            if task is None:
                return
            self._submit(task)

    def _submit(self, task: Task) -> None:
        self._running[task.key] = task
        self.audience(Began(task))
        self.backend.submit(task)

    def _handle(self, event: Event) -> None:
        task = self._running.get(event.key)
        if task is None:
            return  # the last words of one that was given up
        match event:
            case Reported(record=record):
                self._judge(task, record)
            case Lost(reason=reason):
                self._run_again(task, event, reason)
            case Ended(outcome=outcome) if outcome.status == "interrupted":
                self._run_again(task, Lost(task.key, outcome.reason), outcome.reason)
            case Ended() | Failed():
                self._end(task, event)

    def _judge(self, task: Task, record: Record) -> None:
        reason = self.search.judge(task, record)
        if task.obeys and not self._is_closed:
            self.backend.answer(task.key, reason)
        self.search.keep(task, record)
        self.audience(Evaluated(task, record))

    def _run_again(self, task: Task, lost: Lost, reason: str) -> None:
        """Another life for a task whose process or node died, if it has one left."""
        if self._is_closed:
            return
        lives = self._lives[task.key] = self._lives.get(task.key, 1) + 1
        if lives > LIVES:
            self._end(task, lost)
            return
        text = f"{task.key}: {reason}; it goes on, {lives - 1} of {LIVES - 1} times"
        self.audience(Note(text))
        self._submit(task)

    def _end(self, task: Task, result: Result) -> None:
        del self._running[task.key]
        self.search.tell(task, result)
        self.audience(Over(task, result))
        if isinstance(result, Failed) and result.kind == "user":
            self._count_failure(f"{task.key} failed:\n{result.traceback.rstrip()}")
        elif isinstance(result, Lost):
            self._count_failure(f"{task.key} is given up: {result.reason}")
        elif isinstance(result, Ended):
            self._failures = 0

    def _count_failure(self, text: str) -> None:
        """The first of several failures in a row is shown in full."""
        self._failures += 1
        if self._failures == 1:
            self.audience(Note(text))

    def _hear_the_last(self) -> None:
        """What was reported and ended while the backend closed; the rest is for another time."""
        self._is_closed = True
        for event in self.backend.poll(0):
            self._handle(event)
