"""Figures of what settings did: their importance, and each one against the metric."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from fallline.report.configuration import short, written
from fallline.report.effects import Effect, Effects
from fallline.report.figures import (
    Figure,
    Plain,
    label,
    layout,
    metric_axis,
    number_format,
    plain,
    rows_axis,
)
from fallline.report.metric import Metric


def importance_figure(effects: Effects, suffix: str = "") -> Figure | None:
    """Bars of importance, with what chance alone would give."""
    weighed = effects.importances
    if not weighed:
        return None
    names = [short(importance.key) for importance in weighed]
    rows = list(range(len(names)))
    bars: Plain = {
        "type": "bar",
        "orientation": "h",
        "name": "explained by this setting alone",
        "x": [100 * importance.share for importance in weighed],
        "y": rows,
        "text": [plain(name) for name in names],
        "textposition": "none",
        "marker": {"color": ["--series-1" if w.is_clear else "--faint" for w in weighed]},
        "hovertemplate": "%{text}: %{x:.0f} %<extra></extra>",
    }
    chance: Plain = {
        "type": "scatter",
        "mode": "markers",
        "name": "what chance stays below",
        "x": [100 * importance.by_chance for importance in weighed],
        "y": rows,
        "marker": {"symbol": "line-ns-open", "size": 16, "color": "--ink", "line": {"width": 2}},
        "hovertemplate": "chance stays below %{x:.0f} % in 95 of 100 cases<extra></extra>",
    }
    x = {
        "title": {"text": "share of the differences in rank"},
        "ticksuffix": " %",
        "range": [0, 100],
    }
    y = rows_axis(names)
    caption = (
        "How much of the order of the configurations that have it each setting explains by itself "
        "(eta squared of Kruskal and Wallis). What two settings do only together is in none of "
        "the bars; a bar short of its mark is no more than chance."
    )
    view = {"data": [bars, chance], "layout": layout(x, y)}
    height = 130 + 34 * len(weighed)
    return Figure(f"importance{suffix}", "Which setting mattered", caption, {"": view}, height)


def effect_figures(effects: Effects, metric: Metric) -> tuple[Figure, ...]:
    """Each setting against the metric."""
    return tuple(
        _effect_figure(f"effect-{index}", effect, metric)
        for index, effect in enumerate(effects.single)
        if effect.points
    )


def _effect_figure(name: str, effect: Effect, metric: Metric) -> Figure:
    traces = [
        _points(effect, [(v, metric.drawn(m), t) for v, m, t in effect.points], metric),
    ]
    if effect.without:
        worst = max(effect.points, key=lambda point: metric.order(point[1]))[1]
        missing = [(value, metric.drawn(worst), title) for value, title in effect.without]
        traces.append(
            _points(effect, missing, metric)
            | {
                "name": "no value",
                "marker": {"symbol": "x", "size": 8, "color": "--bad"},
                "hovertemplate": "no value: it diverged or failed<extra>%{text}</extra>",
            }
        )
    caption = effect.at_edge
    if effect.without:
        caption += f" Crosses: {len(effect.without)} without a value, diverged or failed."
    view = {
        "data": traces,
        "layout": layout(_axis(effect), metric_axis(metric), showlegend=False),
    }
    return Figure(name, short(effect.key), caption.strip(), {"": view}, 300)


def _axis(effect: Effect) -> Plain:
    if effect.scale.kind != "category":
        return {"type": effect.scale.kind, "tickformat": "~g"} | (
            {"dtick": 1} if effect.scale.kind == "log" else {}
        )
    names = effect.scale.categories
    ticks = {"tickvals": list(range(len(names))), "ticktext": [label(name) for name in names]}
    return ticks | {"range": [-0.6, len(names) - 0.4], "showgrid": False, "zeroline": False}


def _points(
    effect: Effect, points: Sequence[tuple[Any, float | None, str]], metric: Metric
) -> Plain:
    draw = random.Random(0)
    places = [
        value
        if effect.scale.kind != "category"
        else effect.scale.categories.index(written(value)) + draw.uniform(-0.18, 0.18)
        for value, _, _ in points
    ]
    number = number_format(metric, "y")
    return {
        "type": "scatter",
        "mode": "markers",
        "x": places,
        "y": [value for _, value, _ in points],
        "text": [plain(title) for _, _, title in points],
        "customdata": [plain(written(value)) for value, _, _ in points],
        "marker": {"size": 7, "color": "--series-1/0.6"},
        "hovertemplate": f"{number} at %{{customdata}}<extra>%{{text}}</extra>",
    }
