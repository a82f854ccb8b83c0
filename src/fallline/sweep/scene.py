"""What a board shows: a sweep under way, and how it stands whenever it is asked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from fallline.sweep.backend import Task
from fallline.sweep.definition import SweepFile
from fallline.sweep.meter import Meter
from fallline.sweep.results import Trial
from fallline.sweep.search import SweepSearch
from fallline.sweep.standings import Standings, standings


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
        before: trials that had ended when this session began.
        began: when that was, by the monotonic clock.
    """

    name: str
    folder: Path
    file: SweepFile
    search: SweepSearch
    meter: Meter
    slots: int
    before: int
    began: float = field(default_factory=time.monotonic)

    def trial(self, task: Task) -> Trial:
        """The trial that a task belongs to, as it is now."""
        return self.search.trials[int(task.trial["trial"])]

    def standings(self) -> Standings:
        """How it stands now."""
        trials = self.search.trials
        ended = sum(trial.status != "running" for trial in trials)
        return standings(
            self.file,
            trials,
            left=self.meter.left(),
            seconds=time.monotonic() - self.began,
            new=ended - self.before,
        )
