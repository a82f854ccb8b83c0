"""What a sweep found: its trials and the best of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from fallline.compare.estimate import Estimate, estimate
from fallline.compare.rounds import in_order, rounds

TrialStatus = Literal[
    "running", "completed", "pruned", "diverged", "out of memory", "failed", "lost"
]


@dataclass(frozen=True)
class Trial:
    """One configuration of a sweep.

    Attributes:
        number: counts from 0, in the order of asking.
        parameters: what the sweep chose, by dotted key.
        status: how its first seed ended; `diverged` if any seed did.
        reason: in words, where it did not complete.
        again: it came to nothing, perhaps through no fault of its own; the same command tries it
            again.
        values: the metric's last value, by seed.
        curve: (epoch, value of the metric) of the first seed.
        folders: the run folders, by seed.
    """

    number: int
    parameters: Mapping[str, Any]
    status: TrialStatus = "running"
    reason: str = ""
    again: bool = False
    values: Mapping[int, float] = field(default_factory=dict)
    curve: tuple[tuple[int, float], ...] = ()
    folders: Mapping[int, Path] = field(default_factory=dict)

    @cached_property
    def score(self) -> Estimate | None:
        """The value over its seeds; None where it has not completed one."""
        is_told = self.status == "completed" and self.values
        return estimate(list(self.values.values())) if is_told else None

    @property
    def path(self) -> Path:
        """The run folder of the first seed."""
        return self.folders[0]

    def as_plain(self) -> dict[str, Any]:
        """For JSON; curves are in the run folders."""
        worth = self.score
        return {
            "trial": self.number,
            "parameters": dict(self.parameters),
            "status": self.status,
            "reason": self.reason,
            "again": self.again,
            "values": {str(seed): value for seed, value in self.values.items()},
            "mean": worth and worth.mean,
            "interval": None if worth is None or worth.n < 2 else (worth.low, worth.high),
            "folders": {str(seed): str(path) for seed, path in self.folders.items()},
        }


@dataclass(frozen=True)
class Result:
    """A sweep that has ended: its folder, what it was to find, and all its trials.

    `kind` and `ending` say why it ended. `metric` is a name of metrics.jsonl, or None where the
    file of a foreign script names none.
    """

    path: Path
    metric: str | None
    goal: Literal["minimize", "maximize"]
    trials: tuple[Trial, ...]
    kind: Literal["finished", "enough", "budget", "signal", "failures"]
    ending: str

    @property
    def in_vain(self) -> bool:
        """Whether it came to nothing: every trial failed, was lost or ran out of memory."""
        nothing = {"failed", "lost", "out of memory"}
        return bool(self.trials) and {trial.status for trial in self.trials} <= nothing

    @property
    def ranking(self) -> list[Trial]:
        """Completed trials, the best first."""
        return ranked(self.trials, self.goal)

    @property
    def best(self) -> Trial | None:
        """The best configuration; None where none completed."""
        return next(iter(self.ranking), None)

    def as_plain(self) -> dict[str, Any]:
        """For JSON: the best, and trials by status."""
        counts = Counter(trial.status for trial in self.trials)
        best = self.best
        return {
            "folder": str(self.path),
            "metric": self.metric,
            "goal": self.goal,
            "kind": self.kind,
            "ending": self.ending,
            "trials": dict(counts),
            "best": best and best.as_plain(),
        }


def ranked(trials: tuple[Trial, ...], goal: Literal["minimize", "maximize"]) -> list[Trial]:
    """Completed trials, the best first: those in more rounds of seeds won the race so far."""
    scored = {trial.number: trial for trial in trials if trial.score is not None}
    maximize = goal == "maximize"
    raced = {trial.number: trial.values for trial in trials if trial.values}
    let_in = rounds(raced, maximize=maximize)  # who diverged with a later seed was in it too
    values = {number: raced[number] for number in scored}
    return [scored[number] for number in in_order(values, let_in, maximize=maximize)]
