"""When a trial is stopped before its end: the file's early_terminate, or a pruner of Optuna's."""

from __future__ import annotations

from typing import Protocol

from fallline.sweep.definition import SweepFile
from fallline.sweep.hyperband import Race
from fallline.sweep.pruner import Pruner
from fallline.sweep.study import Study


class Rule(Protocol):
    """When a training is to be stopped before its end."""

    def add(self, number: int, epoch: int, value: float) -> None:
        """Takes the trial's next value."""

    def judge(self, number: int, epoch: int, value: float) -> str | None:
        """Why the trial is to be stopped after the last value it took, or None."""

    def forget(self, number: int) -> None:
        """Drops a trial's values: it begins anew."""


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
