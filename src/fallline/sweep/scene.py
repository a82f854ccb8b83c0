"""What a board shows: a sweep under way, and how it stands whenever it is asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fallline.compare.rounds import second_looks
from fallline.sweep.backend import Task
from fallline.sweep.definition import SweepFile
from fallline.sweep.meter import Meter
from fallline.sweep.results import Trial, ranked
from fallline.sweep.search import SweepSearch


@dataclass(frozen=True)
class Standings:
    """A sweep at one moment, to be drawn.

    Attributes:
        metric: its name, with the goal.
        ended: configurations whose first seed is done.
        cap: how many configurations there will be at most, or None.
        best: ranked trials, the best first.
        stopped: trials that came to another end than their own, the last first.
        left: what is left of each budget, in words.
        seconds: wall time so far.
        seconds_left: to the end of all seeds, if trainings go on ending as they did; None: not
            known. A round of further seeds may turn out smaller than the one before.
    """

    metric: str
    ended: int
    cap: int | None
    best: Sequence[Trial]
    stopped: Sequence[Trial]
    left: Sequence[str]
    seconds: float
    seconds_left: float | None


@dataclass(frozen=True)
class Scene:
    """A sweep under way.

    Attributes:
        name: the sweep's.
        folder: where it lies.
        file: what it searches.
        search: its trials.
        meter: what it has used up.
        slots: trainings at a time.
        again: the command that goes on with it, in words.
        before: its trials when this session began.
        began: when that was, by the monotonic clock.
    """

    name: str
    folder: Path
    file: SweepFile
    search: SweepSearch
    meter: Meter
    slots: int
    again: str = "the same command"
    before: Sequence[Trial] = ()
    began: float = field(default_factory=time.monotonic)

    def trial(self, task: Task) -> Trial:
        """The trial that a task belongs to, as it is now."""
        return self.search.trials[int(task.trial["trial"])]

    def standings(self) -> Standings:
        """How it stands now."""
        trials, objective = self.search.trials, self.file.objective
        seconds = time.monotonic() - self.began
        new = trainings_ended(trials) - trainings_ended(self.before)
        left = trainings_left(trials, self.file.cap, self.file.extension.seeds)
        return Standings(
            metric=f"{objective.name}, {objective.goal}" if objective else "no metric",
            ended=ended(trials),
            cap=self.file.cap,
            best=ranked(trials, objective.goal) if objective else [],
            stopped=[t for t in reversed(trials) if t.status not in ("running", "completed")],
            left=self.meter.left(),
            seconds=seconds,
            seconds_left=None if left is None or not new else left * seconds / new,
        )


def ended(trials: Sequence[Trial]) -> int:
    """Configurations whose first seed is done, and will not be tried again."""
    return sum(trial.status != "running" and not trial.again for trial in trials)


def trainings_ended(trials: Sequence[Trial]) -> int:
    """First seeds that are done, and further ones that have a value."""
    return ended(trials) + sum(len(trial.values.keys() - {0}) for trial in trials)


def trainings_left(trials: Sequence[Trial], cap: int | None, seeds: int) -> int | None:
    """The most that are to come, those under way included; None where there is no end.

    A round of further seeds has at most as many as the one before, the first of them a share.
    """
    if cap is None:
        return None
    first = max(0, cap - ended(trials))
    if seeds == 1:
        return first
    now = max((seed for trial in trials for seed in trial.folders), default=0) or 1
    if now == 1:
        most = second_looks(first + sum(trial.status == "completed" for trial in trials))
    else:
        most = sum(now - 1 in trial.folders for trial in trials)
    return first + max(0, most * (seeds - now) - sum(now in trial.values for trial in trials))
