"""How a sweep stands: pure functions from its trials to what a person reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fallline.sweep.definition import SweepFile
from fallline.sweep.results import Trial, ranked
from fallline.sweep.schema import Metric


@dataclass(frozen=True)
class Standings:
    """A sweep at one moment, to be drawn.

    Attributes:
        metric: its name, with the goal.
        counts: trials by status.
        cap: how many configurations there will be at most, or None.
        best: ranked trials, the best first.
        running: trials whose first seed is under way, and those of further seeds.
        stopped: trials that came to another end than their own, the last first.
        left: what is left of each budget, in words.
        seconds: wall time so far.
        seconds_left: to the end, if trials go on ending as they did; None: not known.
    """

    metric: str
    counts: Mapping[str, int]
    cap: int | None
    best: Sequence[Trial]
    running: Sequence[Trial]
    stopped: Sequence[Trial]
    left: Sequence[str]
    seconds: float
    seconds_left: float | None

    @property
    def ended(self) -> int:
        """Configurations whose first seed is done."""
        return sum(count for status, count in self.counts.items() if status != "running")


def standings(
    file: SweepFile, trials: Sequence[Trial], *, left: Sequence[str], seconds: float, new: int
) -> Standings:
    """Sums up a sweep.

    Args:
        file: the sweep.
        trials: every trial so far.
        left: what is left of each budget, in words.
        seconds: wall time of this session.
        new: trials that ended in this session.
    """
    counts: Counter[str] = Counter(trial.status for trial in trials)
    ended = len(trials) - counts["running"]
    remaining = None if file.cap is None else file.cap - ended
    pace = seconds / new if new else None
    return Standings(
        metric=_metric(file.objective),
        counts=counts,
        cap=file.cap,
        best=ranked(tuple(trials), file.objective.goal) if file.objective else [],
        running=[trial for trial in trials if trial.status == "running"],
        stopped=[t for t in reversed(trials) if t.status not in ("running", "completed")],
        left=left,
        seconds=seconds,
        seconds_left=None if remaining is None or pace is None else remaining * pace,
    )


def _metric(objective: Metric | None) -> str:
    return "no metric" if objective is None else f"{objective.name}, {objective.goal}"
