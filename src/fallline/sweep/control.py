"""Who decides what a sweep trains: its file, on this machine, or a server that was given it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from fallline.sweep.backend import Task
from fallline.sweep.definition import SweepFile
from fallline.sweep.rule import Rule, rule_of
from fallline.sweep.study import Study
from fallline.sweep.tasks import TaskMaker


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
