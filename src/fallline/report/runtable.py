"""The table of every run, down to its folder and its command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from fallline.report import wording
from fallline.report.configuration import short, written
from fallline.report.metric import Metric
from fallline.report.run import Run
from fallline.report.table import Cell, Column

SPARK_POINTS: Final = 32
SPARK_WIDTH, SPARK_HEIGHT = 72, 18  # pixels


@dataclass(frozen=True)
class Row:
    """A run: its cells, and what unfolds below them."""

    name: str
    state: str
    reason: str
    cells: tuple[Cell, ...]
    spark: str
    folder: str
    command: str
    settings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RunTable:
    """Every run in rows; the columns of varied settings are titled by their short names."""

    kind: ClassVar[str] = "runs"
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def run_table(runs: Sequence[Run], varied: Sequence[str], metric: Metric) -> RunTable:
    """The table, best first."""
    columns = [Column("state", False), Column(metric.words, True)]
    has_phase = any(run.trial and run.trial.phase for run in runs)
    has_test = any(Metric("test/accuracy").of(run) is not None for run in runs)
    columns += [Column("accuracy on test", True)] if has_test else []
    columns += [Column("phase", False)] if has_phase else []
    columns += [Column(short(key), _is_numeric(runs, key)) for key in varied]
    columns += [Column("seed", True), Column("steps", True), Column("train seconds", True)]
    ordered = sorted(runs, key=lambda run: metric.order(metric.of(run)))
    return RunTable(
        tuple(columns), tuple(_row(run, varied, metric, (has_test, has_phase)) for run in ordered)
    )


def repeat_command(run: Run) -> str:
    """The command that trains the same again, from the run's complete config."""
    return f"fallline train --config {shlex.quote(str(run.path / 'config.json'))}"


def _row(run: Run, varied: Sequence[str], metric: Metric, has: tuple[bool, bool]) -> Row:
    has_test, has_phase = has
    cells = [Cell(run.state, run.state), _scored(run, metric)]
    cells += [_scored(run, Metric("test/accuracy"))] if has_test else []
    cells += [_setting(run.trial.phase if run.trial else None)] if has_phase else []
    cells += [_setting(run.settings.get(key, _of_trial(run, key))) for key in varied]
    cells += [_setting(run.seed), Cell(f"{run.steps:,}", run.steps)]
    cells += [Cell(f"{run.train_seconds:,.1f}", run.train_seconds)]
    return Row(
        run.name,
        run.state,
        run.reason,
        tuple(cells),
        sparkline(run, metric),
        str(run.path),
        repeat_command(run),
        tuple((key, written(value)) for key, value in run.settings.items() if value is not None),
    )


def _of_trial(run: Run, key: str) -> object:
    return run.trial.parameters.get(key) if run.trial else None


def _scored(run: Run, metric: Metric) -> Cell:
    return Cell(wording.value(metric, metric.of(run)), metric.of(run))


def _setting(value: object) -> Cell:
    if value is None:
        return Cell(wording.NOTHING, None)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(written(value), value if is_number else written(value))  # type: ignore[arg-type]


def _is_numeric(runs: Sequence[Run], key: str) -> bool:
    values = [run.settings.get(key, _of_trial(run, key)) for run in runs]
    return all(isinstance(v, int | float) for v in values if v is not None)


def sparkline(run: Run, metric: Metric) -> str:
    """The metric over evaluations as the points of an SVG polyline, scaled to its own range."""
    values = [r.values[metric.name] for r in run.epochs if metric.name in r.values]
    numbers = [v for v in values if isinstance(v, int | float) and v == v]
    step = max(1, len(numbers) // SPARK_POINTS)
    kept = numbers[::-1][::step][::-1]
    if len(kept) < 2:
        return ""
    low, spread = min(kept), (max(kept) - min(kept)) or 1.0
    return " ".join(
        f"{SPARK_WIDTH * i / (len(kept) - 1):.1f},"
        f"{SPARK_HEIGHT - 1 - (SPARK_HEIGHT - 2) * (v - low) / spread:.1f}"
        for i, v in enumerate(kept)
    )
