"""The trainings of a comparison in their order: tuning, then the best of each on fresh seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import zip_longest

from fallline.compare.evidence import Training, chosen, training_of
from fallline.compare.plan import Contestant
from fallline.contest.casualty import bury
from fallline.contest.pace import STEPS, Pace, pace_of
from fallline.contest.tasks import Slate, TaskMaker
from fallline.records import Record, RunFolder
from fallline.sweep.backend import Ended, Share, Task
from fallline.sweep.coordinator import Result

Pair = tuple[str, Contestant]
"""A model's name and an optimizer."""


class ContestSearch:
    """A list in two phases, three where paces have to be measured first.

    It keeps nothing of its own: what has ended is read from the run folders, so the same plan goes
    on after any kill. Optimizers take turns, so that what changes on the machine hits all alike.
    What failed (a full disk, an error) gets another try in the session that goes on, a
    configuration only until a repeat of its optimizer has begun, which touches test: no later
    success may change what was chosen. Without a pace there is no training either.

    Attributes:
        plan: what is compared.
        curves: accuracy on val of each training under way, by key, evaluation by evaluation.
    """

    def __init__(self, tasks: TaskMaker) -> None:
        self._tasks, self.plan = tasks, tasks.plan
        self._given: dict[str, Slate] = {}  # in this session
        self._trainings: dict[str, Training] = {}
        self._again: frozenset[str] = frozenset()
        self.curves: dict[str, list[float]] = {}
        tries = [slate for pair in self.pairs for slate in self._open_to_change(pair)]
        pacers = [pacer for slate in tries if (pacer := self._pacer(slate)) is not None]
        failed = (s.key for s in (*tries, *pacers) if self.training(s).status == "failed")
        self._again = frozenset(failed)

    @property
    def pairs(self) -> list[Pair]:
        """Every optimizer on every model."""
        return [(name, each) for name in self.plan.workloads for each in self.plan.contestants]

    @property
    def share(self) -> Share:
        """What each training is to have of the place where it runs."""
        return self._tasks.share(*self.pairs[0])

    def ask(self) -> Task | None:
        """The next training that has not ended and can begin."""
        slate = next(self._open(), None)
        if slate is None:
            return None
        self._given[slate.key] = slate
        self.curves[slate.key] = []
        return self._tasks(slate, self._pace(slate))

    def judge(self, task: Task, record: Record) -> str | None:
        """Nothing is stopped early: every configuration gets its whole budget."""
        return None

    def keep(self, task: Task, record: Record) -> None:
        """The run folder keeps the record; the curve is for who watches."""
        value = record.values.get("val/accuracy")
        if isinstance(value, float):
            self.curves[task.key].append(value)

    def tell(self, task: Task, result: Result) -> None:
        """Forgets what was known of the training: its folder tells it now, in any case."""
        ended = [task]
        if not isinstance(result, Ended):
            ended += self._in_need_of(task)
            for each in ended:
                bury(each, result)
        for each in ended:
            self._trainings.pop(each.key, None)
            self._again -= {each.key}
            self.curves.pop(each.key, None)

    @property
    def expects_more(self) -> bool:
        """Nothing comes to it from elsewhere."""
        return False

    def enough(self) -> str | None:
        """Nothing ends a comparison before its end."""
        return None

    def slate(self, task: Task) -> Slate:
        """Which training of the plan a task of this session is."""
        return self._given[task.key]

    def training(self, slate: Slate) -> Training:
        """A training of the plan, as its folder has it."""
        found = self._trainings.get(slate.key)
        if found is None:
            folder = self._folder(slate)
            found = training_of(folder, slate.contestant, slate.trial, slate.seed)
            self._trainings[slate.key] = found
        return found

    def has_ended(self, slate: Slate) -> bool:
        """Whether a training has come to an end that stays."""
        return slate.key not in self._again and self.training(slate).has_ended

    def tuning(self, pair: Pair) -> list[Slate]:
        """The configurations of an optimizer."""
        seed = self.plan.tuning_seed
        count = len(pair[1].configurations)
        return [Slate("tune", *pair, trial, seed) for trial in range(count)]

    def repeating(self, pair: Pair) -> list[Slate]:
        """The repeats of its best; none before every configuration has ended."""
        slates = self.tuning(pair)
        if not all(self.has_ended(slate) for slate in slates):
            return []
        best = chosen([self.training(slate) for slate in slates])
        if best is None:
            return []
        return [Slate("repeat", *pair, best, seed) for seed in self.plan.seeds]

    def _open_to_change(self, pair: Pair) -> list[Slate]:
        repeating = self.repeating(pair)
        if any(self.training(slate).folder for slate in repeating):
            return repeating
        return [*self.tuning(pair), *repeating]

    def _in_need_of(self, task: Task) -> list[Task]:
        """The training that a run which measures a pace comes before."""
        pacer = self._given[task.key]
        if pacer.phase != "calibrate":
            return []
        slate = replace(pacer, phase="tune")
        return [self._tasks(slate, self._pace(slate))]

    def left(self) -> int:
        """How many trainings have to end yet; an optimizer that never trained is not repeated."""
        return sum(self._left(pair) for pair in self.pairs)

    def _left(self, pair: Pair) -> int:
        tuning, repeating = self.tuning(pair), self.repeating(pair)
        open_trials = sum(not self.has_ended(slate) for slate in tuning)
        if open_trials:
            return open_trials + len(self.plan.seeds)
        return sum(not self.has_ended(slate) for slate in repeating)

    def _open(self) -> Iterator[Slate]:
        for slate in (*self._in_turns(self.tuning), *self._in_turns(self.repeating)):
            if slate.key in self._given or self.has_ended(slate):
                continue
            pacer = self._pacer(slate)
            if pacer is None or self.has_ended(pacer):
                yield slate
            elif pacer.key not in self._given:
                yield pacer

    def _in_turns(self, of: Callable[[Pair], list[Slate]]) -> Iterator[Slate]:
        """The first of every pair, then the second of every pair, and so on."""
        columns = [of(pair) for pair in self.pairs]
        for row in zip_longest(*columns):
            yield from (slate for slate in row if slate is not None)

    def _pacer(self, slate: Slate) -> Slate | None:
        """The run that measures how fast a configuration trains, where the budget needs it."""
        if self.plan.budget.unit != "seconds":
            return None
        return replace(slate, phase="calibrate", seed=self.plan.tuning_seed)

    def _pace(self, slate: Slate) -> Pace | None:
        """How fast a configuration trains; one that diverged at once gets as many steps."""
        pacer = self._pacer(slate)
        if pacer is None or slate.phase == "calibrate":
            return None
        seen = pace_of(self._folder(pacer))
        return seen or Pace(0.0, self.plan.budget.amount / STEPS)

    def _folder(self, slate: Slate) -> RunFolder:
        return RunFolder(self._tasks.out / slate.key)
