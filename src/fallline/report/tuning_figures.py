"""Figures of what tuning did for each optimizer: how much it needs, and which rates are good."""

from __future__ import annotations

from collections.abc import Sequence

from fallline.compare.standing import Standing
from fallline.compare.tuning import BestOf
from fallline.report.comparison_figures import VAL, Painter
from fallline.report.curve_figures import line_with_band
from fallline.report.curves import Curve
from fallline.report.figures import Figure, Plain, dash, label, layout, metric_axis, number_format


def best_of_figure(painter: Painter) -> Figure:
    """How good the best of k configurations can be expected to be."""
    traces = [
        trace
        for standing in painter.in_order()
        if standing.best_of
        for trace in line_with_band(
            _best_of_curve(standing.best_of, standing.optimizer), painter.place(standing), VAL
        )
    ]
    x = {"title": {"text": "configurations tried"}, "dtick": _whole_ticks(traces)}
    caption = (
        "Expected best accuracy on val after trying k of the configurations; bands show how "
        "much resampling the configurations changes it, up to half of them. "
        "A curve that still rises wants more tuning."
    )
    view = {"data": traces, "layout": layout(x, metric_axis(VAL))}
    return Figure(painter.named("best-of"), "How much tuning each needs", caption, {"": view})


def learning_rate_figure(painter: Painter) -> Figure | None:
    """Every learning rate that was tried."""
    traces = [trace for standing in painter.in_order() for trace in _rates(painter, standing)]
    if not traces:
        return None
    x = {"type": "log", "dtick": 1, "tickformat": "~g", "title": {"text": "learning rate"}}
    caption = (
        "Every configuration at its rate; the other settings vary too. Crosses came to no "
        "score: they diverged or failed."
    )
    view = {"data": traces, "layout": layout(x, metric_axis(VAL))}
    return Figure(painter.named("learning-rate"), "Learning rate", caption, {"": view})


def _rates(painter: Painter, standing: Standing) -> list[Plain]:
    if standing.sensitivity is None:
        return []
    points = standing.sensitivity.points
    scored = [(rate, VAL.drawn(value)) for rate, value in points if value is not None]
    floor = 100 * painter.workload.scoring.chance
    lost = [(rate, floor) for rate, value in points if value is None]
    name, shade = label(standing.optimizer), painter.colour(standing)
    number = f"{number_format(VAL, 'y')} at %{{x:.4~g}}<extra>%{{fullData.name}}</extra>"
    line: Plain = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [rate for rate, _ in scored],
        "y": [value for _, value in scored],
        "line": {"color": shade, "dash": dash(painter.place(standing)), "width": 1.2},
        "marker": {"size": 8, "symbol": painter.symbol(standing)},
        "hovertemplate": number,
    }
    crosses: Plain = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "showlegend": False,
        "x": [rate for rate, _ in lost],
        "y": [value for _, value in lost],
        "marker": {"size": 8, "symbol": "x", "color": shade},
        "hovertemplate": "no score at %{x:.4~g}<extra>%{fullData.name}</extra>",
    }
    return [line, *([crosses] if lost else [])]


def _best_of_curve(told: Sequence[BestOf], title: str) -> Curve:
    return Curve(
        title,
        tuple(float(each.k) for each in told),
        tuple(each.expected for each in told),
        tuple(each.low for each in told if each.low is not None),
        tuple(each.high for each in told if each.high is not None),
    )


def _whole_ticks(traces: Sequence[Plain]) -> int:
    most = max((max(trace["x"]) for trace in traces), default=1)
    return max(1, round(most / 8))
