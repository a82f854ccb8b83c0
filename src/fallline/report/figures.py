"""Figures as plotly draws them: plain data, whose colours are names that the page gives values."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fallline.report.curves import Axis, Curve
from fallline.report.metric import Metric

Plain = dict[str, Any]
COLOURS: Final = tuple(f"--series-{index}" for index in range(1, 8))
"""Seven that colour-blind people can tell apart (Okabe and Ito 2008); themes are in page.css."""
DASHES: Final = ("solid", "dash", "dot", "dashdot")
AXIS_TITLES: Final = {"steps": "steps", "seconds": "training seconds"}


@dataclass(frozen=True)
class Figure:
    """A figure with its caption; `views` are the same by other names, one shown at a time."""

    name: str
    title: str
    caption: str
    views: Mapping[str, Plain]
    height: int = 340


def plotly_script() -> bytes:
    """plotly.js, packed by gzip: 1.4 MB instead of 4.8."""
    from plotly.offline import get_plotlyjs

    return gzip.compress(get_plotlyjs().encode(), 9, mtime=0)


def colour(index: int) -> str:
    """The colour of the `index`-th series."""
    return COLOURS[index % len(COLOURS)]


def dash(index: int) -> str:
    """Its dash, so that colour is never the only difference."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


def layout(x: Plain, y: Plain, **more: Any) -> Plain:
    """The layout all figures have; the page adds fonts and colours of the theme."""
    return {
        "xaxis": {"automargin": True, **x},
        "yaxis": {"automargin": True, **y},
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "hovermode": "closest",
        **more,
    }


def curve_view(curves: Sequence[Curve], axis: Axis, metric: Metric, title: str) -> Plain:
    """Lines with their bands over steps or seconds."""
    traces = [
        trace for index, curve in enumerate(curves) for trace in _lines(curve, index, metric)
    ]
    axes = layout({"title": {"text": AXIS_TITLES[axis]}, "rangemode": "tozero"}, _y(metric, title))
    axes["showlegend"] = len(curves) > 1
    return {"data": traces, "layout": axes}


def _y(metric: Metric, title: str) -> Plain:
    return {"title": {"text": title}, "ticksuffix": " %" if metric.is_share else ""}


def _lines(curve: Curve, index: int, metric: Metric) -> list[Plain]:
    drawn = [metric.drawn(y) for y in curve.y]
    number = "%{y:.2f} %" if metric.is_share else "%{y:.4g}"
    line = {
        "type": "scatter",
        "mode": "lines+markers" if len(drawn) <= 60 else "lines",
        "name": curve.title,
        "x": list(curve.x),
        "y": drawn,
        "line": {"color": colour(index), "dash": dash(index), "width": 2},
        "marker": {"size": 5},
        "hovertemplate": number + " at %{x:,.4~g}<extra>%{fullData.name}</extra>",
        "legendgroup": str(index),
    }
    if not curve.low:
        return [line]
    band = {
        "type": "scatter",
        "x": [*curve.x, *reversed(curve.x)],
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
