"""Learning rate schedules: pure functions of the step, as factors on the peak rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fallline.errors import ConfigError, Fault
from fallline.registry import Table

ONE_CYCLE_START = 1 / 25  # Smith and Topin 2018, as in torch's OneCycleLR(div_factor=25)


@dataclass(frozen=True)
class Course:
    """Where in the run a step lies, and the shape's settings; lengths are fractions of the run."""

    step: int
    total_steps: int
    warmup_steps: int
    final: float
    peak: float
    milestones: Sequence[float]
    gamma: float

    @property
    def done(self) -> float:
        """Fraction of the run done before this step."""
        return self.step / self.total_steps

    @property
    def decayed(self) -> float:
        """Fraction done of what follows the warm-up."""
        return (self.step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)

    @property
    def peak_steps(self) -> int:
        """Steps of the rise to the peak."""
        return round(self.peak * self.total_steps)

    @property
    def risen(self) -> float:
        """Fraction of the rise done after this step; above 1 beyond the peak."""
        return (self.step + 1) / self.peak_steps if self.peak_steps else math.inf

    @property
    def fallen(self) -> float:
        """Fraction done of what follows the peak."""
        return (self.step - self.peak_steps) / max(1, self.total_steps - self.peak_steps)


@dataclass(frozen=True)
class ScheduleRow:
    """One shape. `rises`: it has its own rise to the peak and takes no warm-up."""

    name: str
    summary: str
    shape: Callable[[Course], float]
    rises: bool = False


def _constant(course: Course) -> float:
    return 1.0


def _linear(course: Course) -> float:
    return 1 + (course.final - 1) * course.decayed


def _cosine(course: Course) -> float:
    return _between(1.0, course.final, course.decayed)


def _onecycle(course: Course) -> float:
    if course.risen <= 1:
        return _between(ONE_CYCLE_START, 1.0, course.risen)
    return _between(1.0, course.final, course.fallen)


def _triangular(course: Course) -> float:
    if course.risen <= 1:
        return course.risen
    return 1 + (course.final - 1) * course.fallen


def _step(course: Course) -> float:
    drops = sum(course.done >= milestone for milestone in course.milestones)
    return float(course.gamma**drops)


def _between(start: float, end: float, done: float) -> float:
    """Half a cosine wave from `start` to `end` (Loshchilov and Hutter 2017)."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


SCHEDULES = Table(
    "schedule",
    [
        ScheduleRow("constant", "the peak rate throughout", _constant),
        ScheduleRow("linear", "a straight line from the peak to `final`", _linear),
        ScheduleRow("cosine", "half a cosine wave from the peak to `final`", _cosine),
        ScheduleRow("onecycle", "up to `peak` and down to `final`, by cosines", _onecycle, True),
        ScheduleRow("triangular", "up to `peak` and down to `final`, straight", _triangular, True),
        ScheduleRow("step", "times `gamma` at each of `milestones`", _step),
    ],
    shown_by="fallline list schedules",
)


def factor(
    name: str,
    step: int,
    total_steps: int,
    *,
    warmup: float = 0.0,
    final: float = 0.0,
    peak: float = 0.25,
    milestones: Sequence[float] = (0.5, 0.75),
    gamma: float = 0.1,
) -> float:
    """The learning rate of a step as a fraction of the peak rate.

    Args:
        name: a row of SCHEDULES.
        step: steps done before this one, from 0; beyond the end the last factor holds.
        total_steps: steps of the whole run.
        warmup: fraction of the run that rises in a straight line, reaching 1 at its last step.
        final: factor that linear, cosine, onecycle and triangular tend to at the end.
        peak: fraction of the run at which onecycle and triangular reach 1.
        milestones: fractions of the run at which `step` drops.
        gamma: the factor of each drop.

    Raises ConfigError for an unknown name, and for a warm-up before a shape that rises itself.
    """
    fault = warmup_fault(name, warmup)
    if fault:
        raise ConfigError(fault)
    warmup_steps = round(warmup * total_steps)
    step = min(step, total_steps - 1)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    course = Course(step, total_steps, warmup_steps, final, peak, milestones, gamma)
    return SCHEDULES[name].shape(course)


def warmup_fault(name: str, warmup: float) -> Fault | None:
    """What is wrong with a warm-up before schedule `name`, a row of SCHEDULES."""
    if not (SCHEDULES[name].rises and warmup):
        return None
    return Fault(
        f"the schedule {name} rises to its peak itself",
        seen=f"schedule.warmup = {warmup}",
        next="leave schedule.warmup out and set schedule.peak",
    )


class _HasGroups(Protocol):
    param_groups: list[dict[str, Any]]


def set_lr(optimizer: _HasGroups, factor: float) -> None:
    """Sets each group's rate to `factor` times its own peak rate, `initial_lr`."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
