"""Figures of the winner: its confusion matrix and its accuracy class by class."""

from __future__ import annotations

from typing import Final

import numpy as np

from fallline.report.figures import (
    Figure,
    Plain,
    error_bars,
    label,
    layout,
    metric_axis,
    plain,
    rows_axis,
)
from fallline.report.metric import Metric
from fallline.report.winner import Winner

ACCURACY: Final = Metric("test/accuracy")
MOST_BARS: Final = 40
MOST_NUMBERED: Final = 16


def winner_figures(winner: Winner, suffix: str = "") -> tuple[Figure, ...]:
    """The confusion matrix, where it is not too large to read, and the classes."""
    matrix = _matrix(winner, f"confusion{suffix}")
    return (*([matrix] if matrix else []), _classes(winner, f"classes{suffix}"))


def _matrix(winner: Winner, name: str) -> Figure | None:
    if winner.shares is None or winner.counts is None:
        return None
    names = [label(name) for name in winner.classes]
    right = np.eye(len(names), dtype=bool)
    layers = [
        _cells(winner, np.where(right, 100 * winner.shares, np.nan), "right", "--series-1"),
        _cells(winner, np.where(right, np.nan, 100 * winner.shares), "wrong", "--series-2"),
    ]
    axis = {"tickvals": list(range(len(names))), "ticktext": names, "showgrid": False}
    x = axis | {"title": {"text": "answer"}, "tickangle": -90, "zeroline": False}
    y = axis | {"title": {"text": "true class"}, "autorange": "reversed", "zeroline": False}
    caption = (
        f"Shares of each true class of the {winner.split} split: right answers blue, mistakes "
        "orange, whose colour grows with the root, so that rare ones show."
    )
    height = min(900, max(380, 170 + 26 * len(names)))
    view = {"data": layers, "layout": layout(x, y)}
    return Figure(name, "Which class is taken for which", caption, {"": view}, height)


def _cells(winner: Winner, shares: np.ndarray, word: str, colour: str) -> Plain:
    """One layer of cells; empty where the other layer has them, or there is nothing."""
    assert winner.counts is not None
    shown = np.where(shares > 0, shares, np.nan)
    strength = shown / 100 if word == "right" else np.sqrt(shown / 100)
    count = [[int(c) for c in row] for row in winner.counts]
    numbered = len(winner.classes) <= MOST_NUMBERED
    return {
        "type": "heatmap",
        "z": _rows(strength),
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, "--card"], [1, colour]],
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "customdata": count,
        "text": [["" if v is None else _short_percent(v) for v in row] for row in _rows(shown)],
        "texttemplate": "%{text}" if numbered else "",
        "hoverongaps": False,
        "hovertemplate": "%{y} taken for %{x}: %{customdata}<extra>" + word + "</extra>",
    }


def _rows(values: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(v) else float(v) for v in row] for row in values]


def _short_percent(value: float) -> str:
    return f"{value:.0f}" if value >= 0.5 else "·"


def _classes(winner: Winner, name: str) -> Figure:
    worst = winner.scores[:MOST_BARS]
    points: Plain = {
        "type": "scatter",
        "mode": "markers",
        "x": [100 * score.accuracy.value for score in worst],
        "y": list(range(len(worst))),
        "text": [plain(score.name) for score in worst],
        "error_x": error_bars(ACCURACY, [score.accuracy for score in worst])
        | {"color": "--series-1", "width": 4},
        "marker": {"size": 9, "color": "--series-1"},
        "customdata": [score.images for score in worst],
        "hovertemplate": "%{text}: %{x:.1f} % of %{customdata} images<extra></extra>",
    }
    y = rows_axis([score.name for score in worst])
    more = (
        f" The {len(worst)} worst of {len(winner.scores)}."
        if len(winner.scores) > len(worst)
        else ""
    )
    view = {"data": [points], "layout": layout(metric_axis(ACCURACY, "accuracy"), y)}
    return Figure(
        name,
        "How good it is at each class",
        "Worst first; bars are 95 % intervals over the class's images." + more,
        {"": view},
        max(380, 110 + 27 * len(worst)),
    )
