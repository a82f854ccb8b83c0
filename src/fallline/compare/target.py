"""What it takes to reach an accuracy; what never reached it is counted, not dropped.

A training that missed is censored at its whole budget, as in survival analysis: the restricted
mean counts the budget (Royston and Parmar 2013), and a median exists only where more than half got
there. Reached is the first evaluation at or above the target: no interpolation, so an evaluation
each epoch tells the way to within one epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from fallline.compare.estimate import Estimate, estimate
from fallline.compare.evidence import Point, Training

Measure = Literal["steps", "seconds", "gradients"]
MEASURES: Final[tuple[Measure, ...]] = ("steps", "seconds", "gradients")
LADDER: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


@dataclass(frozen=True)
class Spent:
    """What the repeats of one optimizer spent on the way, in one unit.

    Attributes:
        unit: steps, seconds of the training clock, or gradients.
        values: for each repeat, at its first evaluation at or above the target; None: missed.
        restricted: mean where a miss counts as the whole budget, so a lower bound where one is.
        median: None unless more than half of the repeats reached it.
    """

    unit: Measure
    values: tuple[float | None, ...]
    restricted: Estimate
    median: float | None


@dataclass(frozen=True)
class Attempt:
    """One optimizer on its way to one target.

    Attributes:
        target: validation accuracy, a fraction.
        reached, n: of the repeats of the chosen configuration that completed or diverged.
        tuning_reached, tuning_n: of the configurations that were tried.
        spent: by steps, seconds and gradients; empty without repeats.
    """

    target: float
    reached: int
    n: int
    tuning_reached: int
    tuning_n: int
    spent: tuple[Spent, ...]


def targets_of(trainings: Iterable[Training], chance: float) -> tuple[float, ...]:
    """Round accuracies worth timing: above guessing, up to the first that nobody reached."""
    best = max((point.val for t in trainings for point in t.curve), default=0.0)
    above = [target for target in LADDER if target > chance]
    return tuple(above[: sum(target <= best for target in above) + 1])


def attempt(target: float, trials: Sequence[Training], repeats: Sequence[Training]) -> Attempt:
    """How the trainings of one optimizer did at a target."""
    told = [training for training in repeats if training.has_result]
    arrivals = [arrival(training, target) for training in told]
    return Attempt(
        target=target,
        reached=sum(point is not None for point in arrivals),
        n=len(told),
        tuning_reached=sum(arrival(training, target) is not None for training in trials),
        tuning_n=len(trials),
        spent=tuple(_spent(unit, _whole(unit, told, trials), arrivals) for unit in MEASURES)
        if told
        else (),
    )


def arrival(training: Training, target: float) -> Point | None:
    """The first evaluation at or above the target; None: it missed."""
    return next((point for point in training.curve if point.val >= target), None)


def _whole(unit: Measure, repeats: Sequence[Training], trials: Sequence[Training]) -> float:
    """What the whole budget is: the longest repeat's, or the chosen trial's if none completed."""
    done = [training for training in repeats if training.status == "completed"]
    return max(_of_whole(training, unit) for training in done or (trials[repeats[0].trial],))


def _spent(unit: Measure, budget: float, arrivals: Sequence[Point | None]) -> Spent:
    """A training that diverged early missed as well: it counts the budget, not its short life."""
    values = [None if point is None else _at(point, unit) for point in arrivals]
    counted = [budget if value is None else value for value in values]
    reached = sum(value is not None for value in values)
    return Spent(
        unit=unit,
        values=tuple(values),
        restricted=estimate(counted),
        median=median(counted) if 2 * reached > len(values) else None,
    )


def _at(point: Point, unit: Measure) -> float:
    return {"steps": point.step, "seconds": point.seconds, "gradients": point.gradients}[unit]


def _of_whole(training: Training, unit: Measure) -> float:
    whole = {"steps": training.steps, "seconds": training.seconds}
    return (whole | {"gradients": training.gradients})[unit]
