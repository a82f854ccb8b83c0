"""The table of every run, down to its folder and its command."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
    """A run: its cells, and what unfolds below them.

    `settings` are those that not all runs have alike.
    """

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
    """Every run in rows, and the settings they have in common."""

    kind: ClassVar[str] = "runs"
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    common: tuple[tuple[str, str], ...] = ()


def run_table(runs: Sequence[Run], varied: Sequence[str], metric: Metric) -> RunTable:
    """The table, best first."""
    told = _columns(runs, varied, metric)
    ordered = sorted(runs, key=lambda run: metric.order(metric.of(run)))
    common = _common(runs)
    rows = tuple(_row(run, [cell(run) for _, cell in told], metric, common) for run in ordered)
    return RunTable(tuple(column for column, _ in told), rows, tuple(common.items()))


def repeat_command(run: Run) -> str:
    """The command that trains the same again: from the run's complete config, or a script's."""
    if run.program:
        return shlex.join(run.program)
    return f"fallline train --config {shlex.quote(str(run.path / 'config.json'))}"


def _columns(
    runs: Sequence[Run], varied: Sequence[str], metric: Metric
) -> list[tuple[Column, Callable[[Run], Cell]]]:
    """The columns these runs need, with what makes their cells."""
    test = Metric("test/accuracy")
    has_test = any(test.of(run) is not None for run in runs)
    has_phase = any(run.trial and run.trial.phase for run in runs)
    settings = [
        (Column(short(key), _is_numeric(runs, key)), partial(_setting_of, key=key))
        for key in varied
    ]
    return [
        (Column("state", False), lambda run: Cell(run.state, run.state)),
        (Column(metric.words, True), partial(_scored, metric=metric)),
        *([(Column(test.words, True), partial(_scored, metric=test))] * has_test),
        *([(Column("phase", False), _phase)] * has_phase),
        *settings,
        (Column("seed", True), lambda run: _setting(run.seed)),
        (Column("steps", True), lambda run: Cell(f"{run.steps:,}", run.steps)),
        (Column("train seconds", True), _seconds),
    ]


def _common(runs: Sequence[Run]) -> dict[str, str]:
    """The settings that all readable runs have alike."""
    told = [_written(run).items() for run in runs if run.settings]
    return dict(sorted(set(told[0]).intersection(*told[1:]))) if told else {}


def _written(run: Run) -> dict[str, str]:
    return {key: written(value) for key, value in run.settings.items() if value is not None}


def _row(run: Run, cells: Sequence[Cell], metric: Metric, common: Mapping[str, str]) -> Row:
    return Row(
        run.name,
        run.state,
        run.reason,
        tuple(cells),
        sparkline(run, metric),
        str(run.path),
        repeat_command(run),
        tuple((key, text) for key, text in _written(run).items() if key not in common),
    )


def _seconds(run: Run) -> Cell:
    return Cell(f"{run.train_seconds:,.1f}", run.train_seconds)


def _phase(run: Run) -> Cell:
    return _setting(run.trial.phase if run.trial else None)


def _setting_of(run: Run, key: str) -> Cell:
    return _setting(run.settings.get(key, _of_trial(run, key)))


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
