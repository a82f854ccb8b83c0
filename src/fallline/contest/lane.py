"""Where an optimizer is in the race: what a board draws, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fallline.compare.estimate import Estimate, estimate
from fallline.compare.evidence import Training
from fallline.contest.search import ContestSearch, Pair


@dataclass(frozen=True)
class Lane:
    """One optimizer on one model.

    Attributes:
        workload, optimizer: who.
        phase: tuning, repeating or done, in words.
        ended, planned: trainings.
        lost: of those that ended, how many diverged or failed.
        seconds, gradients: used up, of the training clock and of forward-backward passes.
        curve: of its best so far, ended or under way: accuracy on val by evaluation.
        value: of its best configuration; over fresh seeds once there are any; on val, a fraction.
    """

    workload: str
    optimizer: str
    phase: str
    ended: int
    planned: int
    lost: int
    seconds: float
    gradients: float
    curve: tuple[float, ...]
    value: Estimate | None


def lanes_of(search: ContestSearch) -> list[Lane]:
    """Every lane, in the plan's order."""
    return [_lane(search, pair) for pair in search.pairs]


def leaders_of(lanes: Sequence[Lane]) -> dict[str, Lane]:
    """The lane with the best value on each model."""
    found: dict[str, Lane] = {}
    for lane in lanes:
        ahead = found.get(lane.workload)
        if lane.value and (ahead is None or _mean(lane) > _mean(ahead)):
            found[lane.workload] = lane
    return found


def _mean(lane: Lane) -> float:
    return lane.value.mean if lane.value else 0.0


def _lane(search: ContestSearch, pair: Pair) -> Lane:
    tuning, repeating = search.tuning(pair), search.repeating(pair)
    trials = [search.training(slate) for slate in tuning]
    repeats = [search.training(slate) for slate in repeating]
    told = [t for t in (*trials, *repeats) if t.has_ended]
    counts = Counter(training.status for training in told)
    planned = len(trials) + len(search.plan.seeds)
    under_way = [search.curves[s.key] for s in (*tuning, *repeating) if search.curves.get(s.key)]
    return Lane(
        workload=pair[0],
        optimizer=pair[1].optimizer,
        phase="done" if len(told) == planned else "repeating" if repeating else "tuning",
        ended=len(told),
        planned=planned,
        lost=len(told) - counts["completed"],
        seconds=sum(training.seconds for training in told),
        gradients=sum(training.gradients for training in told),
        curve=_best_curve(told, under_way),
        value=_value(trials, repeats),
    )


def _best_curve(
    ended: Sequence[Training], under_way: Sequence[Sequence[float]]
) -> tuple[float, ...]:
    curves = [tuple(point.val for point in training.curve) for training in ended]
    curves += [tuple(curve) for curve in under_way]
    return max((curve for curve in curves if curve), key=lambda curve: curve[-1], default=())


def _value(trials: Sequence[Training], repeats: Sequence[Training]) -> Estimate | None:
    repeated = [training.val for training in repeats if training.val is not None]
    if repeated:
        return estimate(repeated)
    tried = [training.val for training in trials if training.val is not None]
    return estimate([max(tried)]) if tried else None
