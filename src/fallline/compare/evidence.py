"""What the folder of a comparison holds: each planned training, as it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal

from fallline.compare.plan import Contestant, Plan
from fallline.errors import RunError
from fallline.records import RunFolder

Ending = Literal["completed", "diverged", "failed", "pruned", "interrupted", "missing"]
Phase = Literal["calibrate", "tune", "repeat"]
Key = tuple[str, str, Phase, int, int]
PLAN: Final = "plan.json"


@dataclass(frozen=True)
class Point:
    """One evaluation on the way. `seconds` are of the training clock, `val` is a fraction."""

    step: int
    epoch: int
    seconds: float
    gradients: int
    val: float


@dataclass(frozen=True)
class Training:
    """One planned training, whether it came to a score or not.

    Attributes:
        trial: number of the configuration, from 0; a repeat has its configuration's.
        seed: what the run was seeded with.
        parameters: the searched settings, by dotted key.
        status: how it ended; `missing` where no outcome was left.
        reason: of that, in words.
        folder: its run folder, relative to the comparison's; "" where there is none.
        steps, seconds, gradients: what it used up: of the training clock, and forward-backward
            passes as they were counted, not as the optimizer's row declares them.
        val, val_loss: at the end of the budget; None without a completed training.
        test: likewise; None where test was not touched, as in every tuning run.
        curve: its evaluations.
    """

    trial: int
    seed: int
    parameters: Mapping[str, Any]
    status: Ending = "missing"
    reason: str = "it has left no outcome"
    folder: str = ""
    steps: int = 0
    seconds: float = 0.0
    gradients: int = 0
    val: float | None = None
    val_loss: float | None = None
    test: float | None = None
    curve: tuple[Point, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether it has come to an end, good or bad."""
        return self.status not in ("interrupted", "missing")

    @property
    def has_result(self) -> bool:
        """Whether its end says something of the optimizer; what failed was ended from outside."""
        return self.status in ("completed", "diverged")


@dataclass(frozen=True)
class Evidence:
    """The plan of a comparison, and the run folders found beside it.

    `folders` are by workload, optimizer, phase, number of the configuration, and seed; the name
    of one says which it is.
    """

    plan: Plan
    folders: Mapping[Key, RunFolder] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Evidence:
        """What is in the folder `path`. Raises RunError if it is no comparison's."""
        try:
            plan = Plan.from_json((path / PLAN).read_bytes())
        except (OSError, ValueError) as error:
            raise RunError(
                "this is no comparison's folder",
                seen=f"{path / PLAN}: {str(error).splitlines()[0]}",
                next="a comparison is made with: fallline compare",
            ) from error
        return cls(plan, dict(_found(path, plan)))

    def trials(self, workload: str, contestant: Contestant) -> tuple[Training, ...]:
        """Every planned configuration of an optimizer, by number."""
        return tuple(
            self._training(workload, contestant, "tune", number, self.plan.tuning_seed)
            for number in range(len(contestant.configurations))
        )

    def repeats(self, workload: str, contestant: Contestant, trial: int) -> tuple[Training, ...]:
        """Every planned repeat of a chosen configuration, by seed."""
        return tuple(
            self._training(workload, contestant, "repeat", trial, seed) for seed in self.plan.seeds
        )

    def _training(
        self, workload: str, contestant: Contestant, phase: Phase, trial: int, seed: int
    ) -> Training:
        folder = self.folders.get((workload, contestant.optimizer, phase, trial, seed))
        return training_of(folder, contestant, trial, seed)


def training_of(
    folder: RunFolder | None, contestant: Contestant, trial: int, seed: int
) -> Training:
    """What a run folder says of a planned training; None or none there: it was not begun."""
    parameters = contestant.configurations[trial]
    if folder is None or not folder.config.is_file():
        return Training(trial, seed, parameters, reason="it was not begun")
    try:
        outcome, curve = folder.read_outcome(), tuple(_curve(folder))
    except (RunError, KeyError, TypeError) as error:
        why = f"its folder cannot be read, and may be deleted: {error}".replace("\n", " ")
        return Training(trial, seed, parameters, reason=why, folder=folder.path.name)
    if outcome is None:
        return Training(trial, seed, parameters, folder=folder.path.name)
    done = outcome.status == "completed"
    return Training(
        trial,
        seed,
        parameters,
        status=outcome.status,
        reason=outcome.reason,
        folder=folder.path.name,
        steps=outcome.steps,
        seconds=outcome.train_seconds,
        gradients=outcome.gradients,
        val=outcome.val_accuracy if done else None,
        val_loss=outcome.val_loss if done else None,
        test=outcome.test_accuracy if done else None,
        curve=curve,
    )


def chosen(trials: Sequence[Training]) -> int | None:
    """The configuration to repeat: the best on val at the end of its budget, of two the first.

    Equal accuracies are decided by the loss. None where no training completed.
    """
    done = [training for training in trials if training.val is not None]
    best = max(done, key=lambda t: (t.val or 0.0, -_loss(t), -t.trial), default=None)
    return None if best is None else best.trial


def _loss(training: Training) -> float:
    return float("inf") if training.val_loss is None else training.val_loss


def folder_name(phase: Phase, workload: str, optimizer: str, trial: int, seed: int) -> str:
    """The name of a training's folder."""
    return f"{phase}-{workload}-{optimizer}-{trial:02d}-seed{seed}"


def _found(path: Path, plan: Plan) -> Iterator[tuple[Key, RunFolder]]:
    """Every folder of the plan that a training was begun in."""
    cases: list[tuple[Phase, int]] = [("calibrate", plan.tuning_seed), ("tune", plan.tuning_seed)]
    cases += [("repeat", seed) for seed in plan.seeds]
    for workload, contestant, (phase, seed) in product(plan.workloads, plan.contestants, cases):
        for trial in range(len(contestant.configurations)):
            name = contestant.optimizer
            folder = RunFolder(path / folder_name(phase, workload, name, trial, seed))
            if folder.config.is_file():
                yield (workload, name, phase, trial, seed), folder


def _curve(folder: RunFolder) -> Iterator[Point]:
    for line in folder.read_metrics():
        if line["event"] == "epoch" and line.get("val/accuracy") is not None:
            seconds, gradients = line["train_seconds"], line["gradients"]
            yield Point(line["step"], line["epoch"], seconds, gradients, line["val/accuracy"])
