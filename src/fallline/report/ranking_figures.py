"""Figures of the ranking: the best with their intervals, and how the search came to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fallline.report.configuration import Configuration
from fallline.report.figures import (
    Figure,
    Plain,
    error_bars,
    layout,
    metric_axis,
    number_format,
    plain,
    rows_axis,
)
from fallline.report.metric import Metric

MOST_RANKED: Final = 15
POINTS: Final = {
    "seeds": "Means over seeds have bars of their 95 % intervals.",
    "images": "Single trainings have bars over the scored images alone: how much seeds differ is "
    "not in them.",
    "nothing": "Points without bars are single trainings: how much seeds differ is not known.",
}


def ranking_figure(ranked: Sequence[Configuration], metric: Metric) -> Figure:
    """The best configurations as points with their intervals, best on top."""
    shown = [c for c in ranked if c.value][:MOST_RANKED]
    values = [c.value for c in shown if c.value]
    points: Plain = {
        "type": "scatter",
        "mode": "markers",
        "x": [metric.drawn(value.value) for value in values],
        "y": list(range(len(shown))),
        "error_x": error_bars(metric, values) | {"color": "--series-1", "width": 5},
        "marker": {"size": 10, "color": "--series-1"},
        "customdata": [
            f"{plain(c.described)}<br>{c.value.n} {c.value.of}" for c in shown if c.value
        ],
        "hovertemplate": f"{number_format(metric, 'x')}<extra>%{{customdata}}</extra>",
    }
    y = rows_axis([c.title for c in shown])
    kinds = {value.of for value in values} or {"nothing"}
    caption = " ".join(words for kind, words in POINTS.items() if kind in kinds)
    more = f" {len(shown)} of {len(ranked):,} are shown." if len(ranked) > len(shown) else ""
    view = {"data": [points], "layout": layout(metric_axis(metric), y, showlegend=False)}
    return Figure(
        "ranking",
        f"Best first: {metric.words}",
        caption + more,
        {"": view},
        max(260, 80 + 28 * len(shown)),
    )


def search_figure(ranked: Sequence[Configuration], metric: Metric, height: int) -> Figure:
    """Every run in the order they began, with the best so far as a line."""
    measured = [
        (str(run.environment.get("started", "")), run.name, value, run.state)
        for configuration in ranked
        for run in configuration.runs
        if (value := metric.of(run)) is not None
    ]
    measured.sort(key=lambda entry: (entry[0], entry[1]))
    best: list[float | None] = []
    for _, _, value, state in measured:
        before = best[-1] if best else None
        is_better = before is None or metric.better(value, before)
        best.append(value if state == "completed" and is_better else before)
    order = list(range(1, len(measured) + 1))
    runs: Plain = {
        "type": "scatter",
        "mode": "markers",
        "name": "a run",
        "x": order,
        "y": [metric.drawn(value) for _, _, value, _ in measured],
        "text": [f"{plain(name)}, {state}" for _, name, _, state in measured],
        "marker": {
            "size": 6,
            "color": "--series-1/0.55",
            "symbol": ["circle" if e[3] == "completed" else "x-thin-open" for e in measured],
        },
        "hovertemplate": f"{number_format(metric, 'y')}<extra>%{{text}}</extra>",
    }
    line: Plain = {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": order,
        "y": [metric.drawn(value) for value in best],
        "line": {"color": "--series-2", "shape": "hv", "width": 2},
        "hoverinfo": "skip",
    }
    x = {"title": {"text": "runs, in the order they began"}}
    view = {"data": [runs, line], "layout": layout(x, metric_axis(metric))}
    rises = "rises" if metric.goal == "maximize" else "falls"
    caption = (
        f"Crosses are runs that did not complete. A line that still {rises} asks for more runs."
    )
    return Figure("search", "How the search went", caption, {"": view}, height)
