"""Curves with bands: a series over steps or seconds, of one run or in the mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fallline.records import Record
from fallline.report.configuration import Configuration
from fallline.report.estimate import over_seeds
from fallline.report.run import Run, batch_records

Axis = Literal["steps", "seconds"]
MOST_POINTS: Final = 400  # of a batch series; what a screen can show


@dataclass(frozen=True)
class Curve:
    """Points of one series; `low` and `high` are a band, of its first points or of all; where runs
    were repeated, the 95 % interval of the mean.

    `n` is how many runs the mean is over.
    """

    title: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    n: int = 1


def run_curve(run: Run, series: str, axis: Axis, title: str = "") -> Curve:
    """An epoch series of one run, as it was measured."""
    points = _points(run.epochs, series, axis)
    return Curve(title or run.name, tuple(p[0] for p in points), tuple(p[1] for p in points))


def batch_curve(run: Run, series: str, axis: Axis, title: str) -> Curve:
    """A batch series of one run, thinned to what a screen can show: means of equal stretches."""
    points = _points(batch_records(run), series, axis)
    size = max(1, -(-len(points) // MOST_POINTS))
    parts = [points[at : at + size] for at in range(0, len(points), size)]
    x = tuple(math.fsum(p[0] for p in part) / len(part) for part in parts)
    return Curve(title, x, tuple(math.fsum(p[1] for p in part) / len(part) for part in parts))


def mean_curve(configuration: Configuration, series: str, axis: Axis) -> Curve:
    """A series in the mean over a configuration's completed runs, evaluation by evaluation.

    Over seconds the points stand at the mean time of their evaluation. Evaluations that not every
    run reached are left out: a mean over fewer runs would jump.
    """
    done = [run for run in configuration.runs if run.state == "completed"] or configuration.runs
    lines = [line for run in done if (line := _points(run.epochs, series, axis))]
    if len(lines) < 2:
        run = done[0]
        return run_curve(run, series, axis, configuration.title)
    columns = list(zip(*lines, strict=False))
    estimates = [over_seeds([point[1] for point in column]) for column in columns]
    return Curve(
        configuration.title,
        tuple(math.fsum(p[0] for p in column) / len(column) for column in columns),
        tuple(e.value for e in estimates),
        tuple(e.value if e.low is None else e.low for e in estimates),
        tuple(e.value if e.high is None else e.high for e in estimates),
        len(lines),
    )


def _points(records: Sequence[Record], series: str, axis: Axis) -> list[tuple[float, float]]:
    return [
        (record.step if axis == "steps" else record.train_seconds, float(value))
        for record in records
        if isinstance(value := record.values.get(series), int | float) and math.isfinite(value)
    ]
