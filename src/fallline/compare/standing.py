"""Where one optimizer stands on one workload, with all that it rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fallline.compare.estimate import Estimate, estimate
from fallline.compare.evidence import Training
from fallline.compare.plan import Budget, Contestant
from fallline.compare.target import Attempt
from fallline.compare.tuning import (
    BestOf,
    Edge,
    Sensitivity,
    best_of,
    edges_of,
    sensitivity_of,
)

LR: Final = "optim.lr"
TOLERANCE: Final = 0.1  # of a budget


@dataclass(frozen=True)
class Counts:
    """How many trainings ended how; `planned` is the sum.

    `failed`: the training raised an error; `missing`: it was not begun, or has not ended.
    """

    planned: int
    completed: int
    diverged: int
    failed: int
    missing: int


@dataclass(frozen=True)
class Moment:
    """The repeats of the chosen configuration at one evaluation; `val` over those that got there.

    `seconds` is their mean on the training clock.
    """

    step: int
    epoch: int
    seconds: float
    gradients: int
    val: Estimate


@dataclass(frozen=True)
class Cost:
    """What was paid: seconds of the training clock, steps, gradients.

    Attributes:
        seconds, steps, gradients: of one completed repeat of the chosen configuration.
        milliseconds_per_step: likewise.
        tuning_seconds, tuning_gradients: of all configurations together.
    """

    seconds: Estimate
    steps: Estimate
    gradients: Estimate
    milliseconds_per_step: float
    tuning_seconds: float
    tuning_gradients: float


@dataclass(frozen=True)
class Standing:
    """One row of the ranking.

    Attributes:
        optimizer: its name.
        rank: 1 is the best mean; those without a score come last.
        score: of the workload's measure over fresh seeds; a repeat that diverged scores what
            guessing would, one that failed has no score. None where no repeat has one.
        val: validation accuracy of the same repeats, likewise.
        chance_best: probability of being the best of all (paired bootstrap).
        chance_beats_next: probability of being better than the one ranked next.
        contender: not told apart from the leader (who is one).
        chosen: number of the chosen configuration; None where none completed.
        parameters: its searched settings, by dotted key.
        trials: every configuration that was planned, by number.
        repeats: every repeat that was planned, by seed.
        tuned, repeated: counts of both.
        curve: mean and interval over the repeats, evaluation by evaluation.
        best_of: k from 1 to the number of configurations.
        sensitivity: to the learning rate; None where that is not searched.
        edges: where the chosen configuration lies on the edge of its space.
        attempts: at the workload's targets, in their order.
        cost: None without a completed repeat.
        notes: what a reader should know of this row, in words.
    """

    optimizer: str
    rank: int
    score: Estimate | None
    val: Estimate | None
    chance_best: float | None
    chance_beats_next: float | None
    contender: bool
    chosen: int | None
    parameters: Mapping[str, Any]
    trials: tuple[Training, ...]
    repeats: tuple[Training, ...]
    tuned: Counts
    repeated: Counts
    curve: tuple[Moment, ...]
    best_of: tuple[BestOf, ...]
    sensitivity: Sensitivity | None
    edges: tuple[Edge, ...]
    attempts: tuple[Attempt, ...]
    cost: Cost | None
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> int:
        """How many of its planned trainings are still wanted; repeats are planned after a choice.

        A repeat that failed is: it says nothing of the optimizer, and is tried again.
        """
        return self.tuned.missing + self.repeated.missing + self.repeated.failed


def counts_of(trainings: Sequence[Training]) -> Counts:
    """How they ended."""
    seen = Counter(training.status for training in trainings)
    return Counts(
        planned=len(trainings),
        completed=seen["completed"],
        diverged=seen["diverged"],
        failed=seen["failed"] + seen["pruned"],
        missing=seen["missing"] + seen["interrupted"],
    )


def curve_of(repeats: Sequence[Training]) -> tuple[Moment, ...]:
    """The evaluations of the repeats, those at the same step together."""
    steps: dict[int, list[Any]] = {}
    for training in repeats:
        for point in training.curve:
            steps.setdefault(point.step, []).append(point)
    return tuple(
        Moment(
            step=step,
            epoch=points[0].epoch,
            seconds=sum(point.seconds for point in points) / len(points),
            gradients=points[0].gradients,
            val=estimate([point.val for point in points]),
        )
        for step, points in sorted(steps.items())
    )


def cost_of(trials: Sequence[Training], repeats: Sequence[Training]) -> Cost | None:
    """What the chosen configuration costs, and what finding it did."""
    done = [training for training in repeats if training.status == "completed"]
    if not done:
        return None
    seconds, steps = sum(t.seconds for t in done), sum(t.steps for t in done)
    return Cost(
        seconds=estimate([training.seconds for training in done]),
        steps=estimate([float(training.steps) for training in done]),
        gradients=estimate([training.gradients for training in done]),
        milliseconds_per_step=1000 * seconds / max(1, steps),
        tuning_seconds=sum(training.seconds for training in trials),
        tuning_gradients=sum(training.gradients for training in trials),
    )


def best_of_trials(trials: Sequence[Training], chance: float) -> tuple[BestOf, ...]:
    """Expected best of k of the configurations that have ended, the useless ones at chance."""
    ended = [training for training in trials if training.has_ended]
    return best_of([chance if t.val is None else t.val for t in ended])


def sensitivity_of_trials(trials: Sequence[Training]) -> Sensitivity | None:
    """To the learning rate, where that is searched."""
    if not trials or LR not in trials[0].parameters:
        return None
    rates = [float(training.parameters[LR]) for training in trials]
    return sensitivity_of(LR, rates, [training.val for training in trials])


def edges_of_chosen(contestant: Contestant, chosen: int | None) -> tuple[Edge, ...]:
    """Where the chosen configuration lies on the edge of its space."""
    if chosen is None:
        return ()
    return edges_of(contestant.space, contestant.configurations[chosen])


def missed_budget(cost: Cost | None, budget: Budget) -> tuple[str, ...]:
    """Where a budget in seconds or gradients was not kept: the pace changed, or a step's cost."""
    if cost is None or budget.unit not in ("seconds", "gradients"):
        return ()
    used = (cost.seconds if budget.unit == "seconds" else cost.gradients).mean
    if abs(used / budget.amount - 1) <= TOLERANCE:
        return ()
    return (f"its repeats took {used:,.3g} of {budget.amount:,g} {budget.unit}",)


def notes_of(
    contestant: Contestant, edges: Sequence[Edge], tuned: Counts, repeated: Counts
) -> tuple[str, ...]:
    """What a reader should know of a row, in words."""
    notes = [
        f"its best {edge.key} = {edge.value:.3g} is in {edge.end} of what was tried "
        f"({edge.space}): a better one may lie beyond"
        if edge.end.endswith("tenth")
        else f"its best {edge.key} = {edge.value} is {edge.end} that was tried ({edge.space})"
        for edge in edges
    ]
    if LR not in {axis.key for axis in contestant.space}:
        rate = contestant.defaults.get(LR)
        why = "was set" if rate is None else f"is its default, {rate}"
        notes.append(f"its learning rate was not searched: it {why}")
    for word, counts in (("configurations", tuned), ("repeats", repeated)):
        for fate in ("diverged", "failed", "missing"):
            if number := getattr(counts, fate):
                notes.append(f"{number} of {counts.planned} {word} {_PAST[fate]}")
    return tuple(notes)


_PAST = {"diverged": "diverged", "failed": "failed", "missing": "still to come"}
