"""A dry run: what a comparison is going to do, and about how long that takes by a probe."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from fallline.compare.plan import Budget, Contestant, Plan
from fallline.contest import pace
from fallline.contest.design import Wish
from fallline.contest.recipe import Recipe
from fallline.contest.run import prepare
from fallline.contest.tasks import Slate, TaskMaker
from fallline.contest.wording import configuration_lines, plan_lines
from fallline.sweep.backend import Place, Task
from fallline.sweep.probe import Probe, probe
from fallline.track.terminal import Show, drawn_progress, say
from fallline.track.wording import clock, counted


@dataclass(frozen=True)
class Estimate:
    """How long a comparison takes.

    Attributes:
        seconds: for all its trainings.
        slots: trainings at a time.
    """

    seconds: float
    slots: int


def rehearse(wish: Wish, *, out: Path, name: str | None, on: Place, show: Show = "auto") -> None:
    """Prints what a comparison would do, with every configuration, and the time that takes.

    Keeps no training. Raises ConfigError with everything that would be refused.
    """
    plan, recipe = prepare(wish, name, show)
    found = estimate(plan, recipe, on, show)
    if show == "json":
        told = {**json.loads(plan.to_json()), "estimate": asdict(found)}
        say(json.dumps({"event": "plan", **told}))
        return
    for line in [*configuration_lines(plan), "", *plan_lines(plan, out / plan.name)]:
        say(line)
    each = found.seconds / math.ceil(plan.trainings / found.slots)
    say(
        f"{'time':<10}  about {clock(each)} each, {found.slots} at a time: "
        f"{clock(found.seconds)} for {counted(plan.trainings, 'training')}"
    )


def estimate(plan: Plan, recipe: Recipe, place: Place, show: Show = "quiet") -> Estimate:
    """Trains one configuration on each model for some steps, and extrapolates.

    Steps of other optimizers are taken to cost as much for each gradient.
    """
    first, progress = plan.contestants[0], drawn_progress(show)
    seconds, slots = 0.0, 1
    for number, workload in enumerate(plan.workloads):
        progress("measure the time of some steps", number, len(plan.workloads))
        found = _probed(plan, recipe, workload, place)
        each = sum(seconds_of(found, plan.budget, first, other) for other in plan.contestants)
        seconds, slots = seconds + each * (plan.configs + len(plan.seeds)), found.slots
    progress("measure the time of some steps", 1, 1)
    return Estimate(seconds / plan.trainings * math.ceil(plan.trainings / slots), slots)


def _probed(plan: Plan, recipe: Recipe, workload: str, place: Place) -> Probe:
    """The first optimizer's configuration of the lowest rate, which diverges last."""
    first = plan.contestants[0]
    rates = [values.get("optim.lr", 0.0) for values in first.configurations]
    slate = Slate("calibrate", workload, first, rates.index(min(rates)), plan.tuning_seed)

    def task(out: Path) -> Task:
        return TaskMaker(plan, recipe, out)(slate)

    return probe(task, place, TaskMaker(plan, recipe, Path()).share(workload, first))


def seconds_of(found: Probe, budget: Budget, probed: Contestant, contestant: Contestant) -> float:
    """Of one training, from what a short one of another optimizer showed."""
    gradients = contestant.gradients_per_step
    a_step = found.seconds_of_a_step * gradients / probed.gradients_per_step
    steps = {
        "epochs": budget.amount * found.steps_of_an_epoch,
        "steps": budget.amount,
        "gradients": budget.amount / gradients,
        "seconds": budget.amount / a_step + pace.STEPS,  # which tell how many fit
    }[budget.unit]
    beside = max(1.0, steps / found.steps_of_an_epoch) * found.seconds_beside
    return found.seconds_ahead + steps * a_step + beside
