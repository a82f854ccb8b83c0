"""Figures of curves: one run's, the best configurations' with bands, and how a search went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fallline.report.configuration import Configuration
from fallline.report.curves import Axis, Curve, batch_curve, mean_curve, run_curve
from fallline.report.figures import (
    Figure,
    Plain,
    colour,
    dash,
    label,
    layout,
    metric_axis,
    number_format,
    plain,
)
from fallline.report.metric import Metric
from fallline.report.run import Run

ACCURACY, LOSS = Metric("val/accuracy"), Metric("val/loss", "minimize")


@dataclass(frozen=True)
class View:
    """What configurations are drawn by: its word, the series, the title of its axis."""

    name: str
    metric: Metric
    title: str


OURS: Final = (
    View("accuracy", ACCURACY, "accuracy, held out"),
    View("loss", LOSS, "loss, held out"),
)
AXES: Final[tuple[Axis, Axis]] = ("steps", "seconds")
AXIS_TITLES: Final = {"steps": "steps", "seconds": "training seconds"}
MOST_COLOURED: Final = 6  # configurations; the rest is a grey background
MOST_FAINT: Final = 600
FAINT_POINTS: Final = 24  # of a curve in the background


def run_figures(run: Run) -> tuple[Figure, ...]:
    """One run over steps and over seconds: accuracy, loss, learning rate."""
    return tuple(_run_figure(run, axis) for axis in AXES)


def ranked_figures(ranked: Sequence[Configuration], metric: Metric) -> tuple[Figure, ...]:
    """The best configurations in colours with bands, all others in grey.

    Of runs of ours accuracy and loss, of a script's the `metric`, which is all that is known.
    """
    shown = OURS if metric.is_ours else (View("metric", metric, metric.words),)
    best, others = ranked[:MOST_COLOURED], ranked[MOST_COLOURED:MOST_FAINT]
    repeated = any(len(configuration.runs) > 1 for configuration in best)
    band = " Bands are 95 % intervals of the mean over seeds." if repeated else ""
    rest = f" The other {len(others):,} are grey." if others else ""
    caption = f"The {len(best)} best, in order.{rest}{band}" if len(ranked) > 1 else ""
    return tuple(
        Figure(
            f"curves-{axis}",
            f"Over {AXIS_TITLES[axis]}",
            caption,
            {view.name: _ranked_view(best, others, axis, view) for view in shown},
            height=400,
        )
        for axis in AXES
    )


def _run_figure(run: Run, axis: Axis) -> Figure:
    held_out = "test" if run.settings.get("data.validate_on") == "test" else "held out"
    pair = (("val", held_out), ("train", "training"))
    losses = [run_curve(run, f"{split}/loss", axis, word) for split, word in pair]
    views = {
        "accuracy": curve_view(
            [run_curve(run, f"{split}/accuracy", axis, word) for split, word in pair],
            axis,
            ACCURACY,
            "accuracy",
        ),
        "loss": curve_view(
            [*losses, batch_curve(run, "train/batch_loss", axis, "training batches")],
            axis,
            LOSS,
            "loss",
        ),
        "learning rate": curve_view(
            [batch_curve(run, "lr", axis, "learning rate")], axis, LOSS, "learning rate"
        ),
    }
    return Figure(f"curves-{axis}", f"Over {AXIS_TITLES[axis]}", "", views)


def _ranked_view(
    best: Sequence[Configuration], others: Sequence[Configuration], axis: Axis, view: View
) -> Plain:
    curves = [mean_curve(configuration, view.metric.name, axis) for configuration in best]
    drawn = curve_view(curves, axis, view.metric, view.title)
    drawn["data"] = _background(others, axis, view.metric) + drawn["data"]
    drawn["layout"]["showlegend"] = True
    return drawn


def curve_view(curves: Sequence[Curve], axis: Axis, metric: Metric, title: str) -> Plain:
    """Lines with their bands over steps or seconds."""
    traces = [
        trace for i, curve in enumerate(curves) for trace in line_with_band(curve, i, metric)
    ]
    x = {"title": {"text": AXIS_TITLES[axis]}, "rangemode": "tozero"}
    return {
        "data": traces,
        "layout": layout(x, metric_axis(metric, title), showlegend=len(curves) > 1),
    }


def _background(others: Sequence[Configuration], axis: Axis, metric: Metric) -> list[Plain]:
    """All in one line with gaps: five hundred lines of their own would not scroll."""
    x: list[float | None] = []
    y: list[float | None] = []
    names: list[str] = []
    for configuration in others:
        curve = mean_curve(configuration, metric.name, axis)
        step = max(1, len(curve.x) // FAINT_POINTS)
        kept = list(zip(curve.x, curve.y, strict=True))[::-1][::step][::-1]
        x += [*(point[0] for point in kept), None]
        y += [*(metric.drawn(point[1]) for point in kept), None]
        names += [plain(configuration.described)] * (len(kept) + 1)
    if not x:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": y,
            "text": names,
            "line": {"color": "--faint/0.35", "width": 1},
            "hovertemplate": f"{number_format(metric, 'y')}<extra>%{{text}}</extra>",
            "showlegend": False,
        }
    ]


def line_with_band(curve: Curve, index: int, metric: Metric) -> list[Plain]:
    """A curve in the colour of its place; where it has an interval, the band comes first."""
    line: Plain = {
        "type": "scatter",
        "mode": "lines+markers" if len(curve.y) <= 60 else "lines",
        "name": label(curve.title),
        "x": list(curve.x),
        "y": [metric.drawn(y) for y in curve.y],
        "line": {"color": colour(index), "dash": dash(index), "width": 2},
        "marker": {"size": 5},
        "hovertemplate": f"{number_format(metric, 'y')} at %{{x:,.4~g}}"
        "<extra>%{fullData.name}</extra>",
        "legendgroup": str(index),
    }
    if not curve.low:
        return [line]
    x = curve.x[: len(curve.low)]
    band: Plain = {
        "type": "scatter",
        "x": [*x, *reversed(x)],
        "y": [metric.drawn(y) for y in (*curve.high, *reversed(curve.low))],
        "fill": "toself",
        "fillcolor": f"{colour(index)}/0.16",
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": str(index),
    }
    return [band, line]
