"""One short training before many: what a step and an evaluation take, and how many fit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fallline.errors import RunError
from fallline.records import Outcome, RunFolder
from fallline.sweep.backend import Backend, Ended, Failed, Lost, Place, Share, Task

STEPS: Final = 40


@dataclass(frozen=True)
class Probe:
    """What it showed.

    Attributes:
        outcome: of its few steps and one evaluation.
        train: its settings, with what data and machine decided.
        slots: trainings at a time.
    """

    outcome: Outcome
    train: Mapping[str, Any]
    slots: int

    @property
    def steps_of_an_epoch(self) -> float:
        """How many steps go through all images once."""
        return self.outcome.steps / self.outcome.epochs

    @property
    def seconds_of_a_step(self) -> float:
        """By the training clock."""
        return self.outcome.train_seconds / self.outcome.steps

    @property
    def seconds_beside(self) -> float:
        """Of an evaluation, and what else a short training does beside its steps."""
        beside = self.outcome.wall_seconds - self.outcome.train_seconds
        return max(0.0, beside - self.seconds_ahead)

    @property
    def seconds_ahead(self) -> float:
        """What a training takes before its clock runs, once: compilers."""
        return self.outcome.cold_start_seconds or 0.0


def probe(make: Callable[[Path], Task], place: Place, share: Share) -> Probe:
    """Carries out a task made for a folder, where all others are going to run.

    No tracker hears of it. Raises RunError where it fails before its last step.
    """
    with tempfile.TemporaryDirectory(prefix="fallline-probe-") as folder:
        task = _untracked(make(Path(folder)))
        backend = place.open(Path(folder), share)
        try:
            backend.submit(task)
            _wait(backend)
        finally:
            backend.close(save=False)
        run = RunFolder(task.out / task.key)
        outcome, train = run.read_outcome(), run.read_config()["train"]
    assert outcome is not None
    return Probe(outcome, train, backend.slots)


def _untracked(task: Task) -> Task:
    track = {**task.config["track"], "tensorboard": False, "wandb": "off"}
    return replace(task, config={**task.config, "track": track})


def _wait(backend: Backend) -> None:
    while True:
        for event in backend.poll(1.0):
            match event:
                case Ended(outcome=outcome) if outcome.status == "completed":
                    return
                case Ended(outcome=outcome):
                    raise RunError("the first configuration fails", seen=outcome.reason)
                case Failed(message=reason) | Lost(reason=reason):
                    raise RunError("the first configuration fails", seen=reason)
