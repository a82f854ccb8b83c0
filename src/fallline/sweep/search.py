"""The search that a sweep file states: its configurations, their early stopping, their seeds."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from fallline.compare.rounds import contenders
from fallline.errors import ConfigError
from fallline.records import Record, RunFolder
from fallline.sweep.backend import Ended, Failed, Lost, Task
from fallline.sweep.control import Control
from fallline.sweep.definition import SweepFile
from fallline.sweep.results import Trial, TrialStatus
from fallline.sweep.study import Study
from fallline.sweep.tasks import key_of

FAILURES: Final[dict[str, TrialStatus]] = {"memory": "out of memory", "user": "failed"}


class SweepSearch:
    """Asks for the first seed of every configuration, then for more seeds of the contenders.

    All is on record in the study and in the run folders: whoever opens them again goes on.

    Args:
        file: the sweep.
        study: its record.
        control: who chooses configurations and stops trainings.
    """

    def __init__(self, file: SweepFile, study: Study, control: Control) -> None:
        self._file, self._study, self._control = file, study, control
        self._objective = file.objective
        self._maximize = self._objective is not None and self._objective.goal == "maximize"
        self._rule = control.rule
        self._trials = {trial.number: trial for trial in study.trials()}
        self._seed = 1  # of the round of further seeds to come
        self._last: dict[str, float] = {}  # by task: the metric's last value
        self._running: set[str] = set()
        self._waiting: deque[tuple[int, int]] = deque()  # trial and seed
        self._again: deque[int] = deque()  # trials that came to nothing in an earlier session
        self._doubtful: list[int] = []  # that failed, and no training has ended since
        self._is_well = False  # whether one has, since a trial was tried again
        for trial in self._trials.values():
            self._recall(trial)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial so far, in order."""
        return tuple(self._trials.values())

    def ask(self) -> Task | None:
        """Interrupted trials, then new ones, then rounds of further seeds.

        Between them come those that are tried again: one after each training that ended, so that
        they are not what ends the sweep, and the rest when there are no new ones.
        """
        if not self._waiting:
            self._queue()
        if not self._waiting and not self._running:
            self._next_round()
        if not self._waiting:
            return None
        number, seed = self._waiting.popleft()
        return self._task(self._trials[number], seed)

    def _queue(self) -> None:
        """One more trial, or none: a new one, or one that is tried again."""
        number = len(self._trials)
        if self._again and self._is_well:
            self._try_again()
        elif (values := self._control.propose(number)) is not None:
            self._begin(number, values)
        elif self._again:
            self._try_again()

    def _try_again(self) -> None:
        self._is_well, number = False, self._again.popleft()
        self._put(self._trials[number], status="running", reason="", again=False)
        self._waiting.append((number, 0))

    def judge(self, task: Task, record: Record) -> str | None:
        """The rule's word on the newest value; that of a lost life was perhaps not obeyed.

        A program's first value after others is that of a new life, which forgets the one before.
        """
        trial, value = self._trials[_number(task)], self._value(record)
        if task.program is not None and record.epoch == 1 and trial.curve:
            trial = self._put(trial, curve=())
            if self._rule is not None:
                self._rule.forget(trial.number)
        if self._rule is None or _seed(task) > 0 or value is None:
            return None
        newest = max((epoch for epoch, _ in trial.curve), default=0)
        if record.epoch > newest:
            self._rule.add(trial.number, record.epoch, value)
        if record.epoch < newest:
            return None
        return self._rule.judge(trial.number, record.epoch, value)

    def keep(self, task: Task, record: Record) -> None:
        """The first seed's curve goes into the study, any seed's last value into the trial."""
        trial, seed, value = self._trials[_number(task)], _seed(task), self._value(record)
        if value is None:
            return
        self._last[task.key] = value
        if seed == 0 and all(epoch != record.epoch for epoch, _ in trial.curve):
            self._study.report(trial.number, record.epoch, value)
            self._put(trial, curve=(*trial.curve, (record.epoch, value)))

    def tell(self, task: Task, result: Ended | Failed | Lost) -> None:
        """Puts an end on record; whatever a further seed does, the trial's first one stays."""
        self._running.discard(task.key)
        trial, seed = self._trials[_number(task)], _seed(task)
        self._control.ended(trial.number)
        if isinstance(result, Ended):
            self._settle()
        status, reason = _judged(result)
        value = self._last.get(task.key, trial.curve[-1][1] if trial.curve and not seed else None)
        if status == "completed" and value is None and self._objective is not None:
            status, reason = "failed", f"it never reported {self._objective.name}"
        if seed > 0:
            self._tell_seed(trial, seed, status, value)
            return
        if not isinstance(result, Ended) and status != "out of memory":
            self._put_off(trial, status, reason)
            return
        value = value if status == "completed" else None
        self._study.end(trial.number, status, reason, value)
        values = {} if value is None else {0: value}
        self._put(trial, status=status, reason=reason, values=values)

    def _put_off(self, trial: Trial, status: TrialStatus, reason: str) -> None:
        """Leaves a trial to the next session, if it fails as all do from now on, or was lost."""
        self._study.put_off(trial.number, status, reason)
        self._put(trial, status=status, reason=reason, again=True)
        if status == "failed":
            self._doubtful.append(trial.number)

    def _settle(self) -> None:
        """A training has ended, so what failed before it failed for reasons of its own."""
        self._is_well = True
        for trial in map(self._trials.__getitem__, self._doubtful):
            self._study.end(trial.number, trial.status, trial.reason, None)
            self._put(trial, again=False)
        self._doubtful.clear()

    def enough(self) -> str | None:
        """Whether a completed trial has reached the file's target."""
        target = self._objective.target if self._objective else None
        if target is None or self._objective is None:
            return None
        for trial in self._trials.values():
            value = trial.values.get(0)
            if value is not None and (value >= target if self._maximize else value <= target):
                name = self._objective.name
                return f"trial {trial.number} reached the target: {name} {value:.6g}"
        return None

    @property
    def expects_more(self) -> bool:
        """Whether tasks may come although there is none now and none is running."""
        return self._control.is_waiting

    def _begin(self, number: int, values: Mapping[str, Any]) -> None:
        self._study.begin(number, values)
        self._trials[number] = Trial(number, values)
        self._waiting.append((number, 0))

    def _task(self, trial: Trial, seed: int) -> Task:
        try:
            task = self._control.task(trial.number, trial.parameters, seed)
        except ConfigError as error:
            self._control.ended(trial.number)
            if seed == 0:
                self._put_off(trial, "failed", str(error))
            raise
        self._running.add(task.key)
        self._put(trial, folders={**trial.folders, seed: task.out / task.key})
        return task

    def _next_round(self) -> None:
        """One more seed for the contenders; those that have it from an earlier session keep it.

        Rounds are chosen by the seeds before them alone, so that they are chosen alike again.
        """
        while self._seed < self._file.extension.seeds and not self._waiting:
            told = {
                number: [trial.values[seed] for seed in range(self._seed)]
                for number, trial in self._trials.items()
                if all(s in trial.values for s in range(self._seed))
            }
            chosen = contenders(told, maximize=self._maximize)
            self._waiting += [(n, self._seed) for n in chosen if self._is_open(n, self._seed)]
            self._seed += 1

    def _is_open(self, number: int, seed: int) -> bool:
        """Whether a trial has all seeds before this one, and this one has not ended."""
        trial = self._trials[number]
        return trial.status == "completed" and seed not in trial.values

    def _tell_seed(
        self, trial: Trial, seed: int, status: TrialStatus, value: float | None
    ) -> None:
        if status == "completed" and value is not None:
            self._put(trial, values={**trial.values, seed: value})
        elif status == "diverged":
            self._put(trial, status="diverged", reason=f"with seed {seed}")

    def _recall(self, trial: Trial) -> None:
        """Takes up a trial on record: its curve, its place in the queue, its further seeds."""
        for epoch, value in trial.curve if self._rule else ():
            assert self._rule is not None
            self._rule.add(trial.number, epoch, value)
        if trial.status == "running":
            self._waiting.append((trial.number, 0))
            return
        if trial.again:
            self._again.append(trial.number)
        for seed in range(self._file.extension.seeds):
            folder = RunFolder(self._control.out / key_of(trial.number, seed))
            if seed == 0 or folder.path.exists():  # the first may have been deleted since
                self._recall_seed(self._trials[trial.number], seed, folder)

    def _recall_seed(self, trial: Trial, seed: int, folder: RunFolder) -> None:
        self._put(trial, folders={**trial.folders, seed: folder.path})
        outcome = folder.read_outcome() if seed else None
        if outcome is not None and outcome.status in ("completed", "diverged"):
            value = self._last_value(folder)
            self._tell_seed(self._trials[trial.number], seed, outcome.status, value)

    def _last_value(self, folder: RunFolder) -> float | None:
        values = [self._value(Record.from_plain(line)) for line in folder.read_metrics()]
        return next((value for value in reversed(values) if value is not None), None)

    def _value(self, record: Record) -> float | None:
        """The metric in a record of an epoch, if it is there and a number."""
        if record.event != "epoch" or self._objective is None:
            return None
        value = record.values.get(self._objective.name)
        return value if isinstance(value, int | float) and math.isfinite(value) else None

    def _put(self, trial: Trial, **changes: Any) -> Trial:
        self._trials[trial.number] = replace(trial, **changes)
        return self._trials[trial.number]


def _judged(result: Ended | Failed | Lost) -> tuple[TrialStatus, str]:
    match result:
        case Ended(outcome=outcome):
            assert outcome.status in ("completed", "pruned", "diverged")
            return outcome.status, "" if outcome.status == "completed" else outcome.reason
        case Failed():
            return FAILURES[result.kind], result.message
        case Lost():
            return "lost", result.reason


def _number(task: Task) -> int:
    return int(task.trial["trial"])


def _seed(task: Task) -> int:
    return int(task.trial["seed"])
