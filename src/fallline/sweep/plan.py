"""What a sweep is going to do, before it does anything: the static part of a dry run, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fallline.space import Dimension
from fallline.sweep.definition import SweepFile
from fallline.sweep.points import settled
from fallline.training.resolve import resolve

UNKNOWN = 100
"""Measurements to show bands for, where a file does not say how many there are."""
COUNTED = 10_000
"""Larger grids are not searched for points that are the same training."""


@dataclass(frozen=True)
class ConfigurationRow:
    """A configuration: what is drawn, under the file's names, and which draws do nothing."""

    values: Mapping[str, Any]
    idle: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A sweep in words and numbers.

    Attributes:
        title: name and method.
        parameters: what each can be, under the file's names, in W&B's order.
        data: the image set, where it is one for all of our trainings.
        shown: what the configurations shown are: the first, or for bayes, which chooses by what it
            has seen, examples.
        configurations: those.
        points: how many a grid has; None for the other methods.
        trainings: how many of a grid's points differ in what a run takes; None where not counted.
        bands: the counts of measurements at which early stopping looks.
        limits: what ends the sweep, in words.
        notes: what was understood leniently, and what a person should know.
    """

    title: str
    objective: str
    data: tuple[str, ...]
    parameters: Mapping[str, str]
    shown: Literal["first", "such as"]
    configurations: tuple[ConfigurationRow, ...]
    points: int | None
    trainings: int | None
    bands: tuple[int, ...]
    limits: tuple[str, ...]
    notes: tuple[str, ...]


def plan(sweep: SweepFile, first: int = 5) -> Plan:
    """The plan of a sweep, with its `first` configurations."""
    cap, seeds = sweep.cap, sweep.extension.seeds
    points = len(sweep.grid) if sweep.method == "grid" else None
    return Plan(
        title=f"{sweep.name or 'sweep'}: {sweep.method}" + f", {seeds} seeds" * (seeds > 1),
        objective=_objective(sweep),
        data=_data(sweep),
        shown="such as" if sweep.method == "bayes" else "first",
        parameters={".".join(sweep.words[key]): str(d) for key, d in sweep.space.items()},
        configurations=tuple(_configuration(sweep, i) for i in range(min(first, cap or first))),
        points=points,
        trainings=_trainings(sweep) if points and points <= COUNTED else None,
        bands=bands(sweep),
        limits=tuple(_limits(sweep)),
        notes=(*sweep.notes, *_on_bands(sweep)),
    )


def _data(sweep: SweepFile) -> tuple[str, ...]:
    if sweep.script or "data.name" in sweep.space:
        return ()
    return (resolve(sweep.layers).config.data.name,)


def bands(sweep: SweepFile) -> tuple[int, ...]:
    """The counts of measurements at which early stopping looks, as far as runs get."""
    rule = sweep.early_terminate
    return rule.below(_most_measurements(sweep) or UNKNOWN) if rule else ()


def _objective(sweep: SweepFile) -> str:
    objective = sweep.objective
    if objective is None:
        return "none: the file names no metric"
    target = "" if objective.target is None else f", until {objective.target:g} is reached"
    return f"{objective.goal} {objective.name}{target}"


def _configuration(sweep: SweepFile, number: int) -> ConfigurationRow:
    values = sweep.point(number)
    shown = {".".join(sweep.words[key]): value for key, value in values.items()}
    idle = () if sweep.script else sweep.apply(values)[1]
    return ConfigurationRow(shown, tuple(".".join(sweep.words[key]) for key in idle))


def _trainings(sweep: SweepFile) -> int:
    """A grid's points, those that differ only in what does nothing counted once."""
    if sweep.script:
        return len(sweep.grid)
    return len({settled(sweep.apply(point)[0].values) for point in sweep.grid})


def _most_measurements(sweep: SweepFile) -> int | None:
    """The most evaluated epochs that a run can have, where the file or its base says so."""
    if sweep.script:
        return None
    train = sweep.resolve(sweep.draw(0)).config.train
    searched = sweep.space.get("train.epochs")
    epochs = train.epochs if searched is None else _largest(searched)
    return None if epochs is None else math.ceil(epochs / train.eval_every)


def _largest(dimension: Dimension) -> float | None:
    """The largest of its values; None where there is none, or one of them is no number."""
    values = getattr(dimension, "values", (dimension.at(0.0), dimension.at(1.0)))
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        return None
    return max(values)


def _limits(sweep: SweepFile) -> list[str]:
    """What ends the sweep."""
    budget, metric = sweep.extension.budget, sweep.objective
    limits = [] if sweep.cap is None else [f"{sweep.cap} configurations"]
    if budget.time is not None:
        limits.append(f"{_duration(budget.time)} of wall time")
    if budget.epochs is not None:
        limits.append(f"{budget.epochs:g} epochs over all runs")
    if budget.device_hours is not None:
        limits.append(f"{budget.device_hours:g} device-hours")
    if metric and metric.target is not None:
        limits.append(f"a run whose {metric.name} reaches {metric.target:g}")
    return limits


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _on_bands(sweep: SweepFile) -> list[str]:
    rule, measurements = sweep.early_terminate, _most_measurements(sweep)
    if rule is None or measurements is None or bands(sweep):
        return []
    return [
        f"early_terminate stops nobody: its first band is at {rule.bands[0]} measurements, and "
        f"runs have {measurements}"
    ]
