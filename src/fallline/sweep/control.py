"""Who decides what a sweep trains: its file, on this machine, or a server that was given it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from fallline.sweep.backend import Task
from fallline.sweep.definition import SweepFile
from fallline.sweep.hyperband import Race
from fallline.sweep.pruner import Pruner
from fallline.sweep.study import Study
from fallline.sweep.tasks import TaskMaker


class Rule(Protocol):
    """When a training is to be stopped before its end."""

    def add(self, number: int, epoch: int, value: float) -> None:
        """Takes the trial's next value."""

    def judge(self, number: int, epoch: int, value: float) -> str | None:
        """Why the trial is to be stopped after the last value it took, or None."""

    def forget(self, number: int) -> None:
        """Drops a trial's values: it begins anew."""


class Control(Protocol):
    """Chooses the configurations of one sweep, and stops trainings before their end."""

    @property
    def rule(self) -> Rule | None:
        """When trainings are stopped; None: never."""

    @property
    def out(self) -> Path:
        """The folder that gets the run folders."""

    @property
    def is_waiting(self) -> bool:
        """Whether configurations may come although there is none now."""

    def propose(self, number: int) -> Mapping[str, Any] | None:
        """The configuration of a new trial, by dotted key; None: there is none now."""

    def task(self, number: int, values: Mapping[str, Any], seed: int) -> Task:
        """What trains a trial with one of its seeds. Raises ConfigError."""

    def ended(self, number: int) -> None:
        """A training of the trial came to its end."""

    def close(self) -> None:
        """The sweep ends here, for now."""


class Controller(Protocol):
    """Who may control sweeps, before one has begun."""

    def take(self, file: SweepFile, begin: Callable[[], Study], folder: Path) -> Control:
        """Takes control of a sweep that lies in `folder`; `begin` opens or begins its record.

        Raises ConfigError where the file asks for what this controller does not do, RunError where
        it cannot be reached.
        """


class FileController:
    """The file itself: nobody else is asked."""

    def take(self, file: SweepFile, begin: Callable[[], Study], folder: Path) -> FileControl:
        """Raises what `begin` does."""
        return FileControl(file, begin(), TaskMaker(file, folder.name, folder))


class FileControl:
    """The file's method, cap and early stopping."""

    is_waiting = False

    def __init__(self, file: SweepFile, study: Study, tasks: TaskMaker) -> None:
        self.rule, self.out, self.task = rule_of(file, study), tasks.out, tasks
        self._cap, self._study = file.cap, study

    def propose(self, number: int) -> Mapping[str, Any] | None:
        """The next one by the file's method, until its cap is reached."""
        capped = self._cap is not None and number >= self._cap
        return None if capped else self._study.propose(number)

    def ended(self, number: int) -> None:
        """The study has it on record."""

    def close(self) -> None:
        """There is nothing to close."""


class _WandbRule:
    """The file's early_terminate: W&B's hyperband."""

    def __init__(self, race: Race) -> None:
        self._race = race

    def add(self, number: int, epoch: int, value: float) -> None:
        """The race counts values; epochs do not matter to it."""
        self._race.add(number, value)

    def judge(self, number: int, epoch: int, value: float) -> str | None:
        """Which band and threshold it does not pass."""
        stop = self._race.judge(number)
        return None if stop is None else str(stop)

    def forget(self, number: int) -> None:
        """Its bands too."""
        self._race.forget(number)


class _OptunaRule:
    """One of Optuna's pruners; it reads what the study holds."""

    def __init__(self, study: Study, chosen: Pruner) -> None:
        self._study, self._name = study, chosen.name
        self._pruner = chosen.build()

    def add(self, number: int, epoch: int, value: float) -> None:
        """The study has it."""

    def judge(self, number: int, epoch: int, value: float) -> str | None:
        """Which pruner says so."""
        if self._study.would_prune(number, epoch, value, self._pruner):
            return f"stopped at epoch {epoch} by Optuna's {self._name} pruner, at {value:.6g}"
        return None

    def forget(self, number: int) -> None:
        """None of a later epoch is looked at, and the study's are written over."""


def rule_of(file: SweepFile, study: Study) -> Rule | None:
    """The rule that the file states; None: every trial runs to its end."""
    if file.early_terminate is not None and file.objective is not None:
        return _WandbRule(Race(file.early_terminate, file.objective.goal))
    return None if file.pruner is None else _OptunaRule(study, file.pruner)
