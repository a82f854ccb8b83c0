"""Figures as plotly draws them: plain data, whose colours are names that the page gives values."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from fallline.report.estimate import Estimate
from fallline.report.metric import Metric

Plain = dict[str, Any]
COLOURS: Final = tuple(f"--series-{index}" for index in range(1, 8))
"""Seven that colour-blind people can tell apart (Okabe and Ito 2008); themes are in page.css."""
DASHES: Final = ("solid", "dash", "dot", "dashdot")
SYMBOLS: Final = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon")
LONGEST_LABEL: Final = 34  # characters of a tick label


@dataclass(frozen=True)
class Figure:
    """A figure with its caption; `views` are the same by other names, one shown at a time."""

    kind: ClassVar[str] = "figure"
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


def metric_axis(metric: Metric, title: str = "") -> Plain:
    """An axis of the metric's values."""
    axis = {"title": {"text": title or metric.words, "standoff": 12}}
    shares = {"ticksuffix": " %", "minallowed": -2, "maxallowed": 102}  # room for a marker
    return axis | shares if metric.is_share else axis


def number_format(metric: Metric, variable: str) -> str:
    """How a hover shows a value of the metric."""
    return f"%{{{variable}:.2f}} %" if metric.is_share else f"%{{{variable}:.4g}}"


def error_bars(metric: Metric, estimates: Sequence[Estimate]) -> Plain:
    """The intervals of estimates, as bars around their values."""
    up = [0 if e.high is None else max(0.0, metric.scaled(e.high - e.value)) for e in estimates]
    down = [0 if e.low is None else max(0.0, metric.scaled(e.value - e.low)) for e in estimates]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.6}


def rows_axis(names: Sequence[str]) -> Plain:
    """A vertical axis with a row for each name, the first on top: rows are 0, 1, 2 and so on."""
    ticks = {"tickvals": list(range(len(names))), "ticktext": [label(name) for name in names]}
    bare = {"autorange": "reversed", "showgrid": False, "zeroline": False, "ticksuffix": " "}
    return ticks | bare


def label(text: str) -> str:
    """A text short enough for an axis; plotly reads some HTML, so its brackets are escaped.

    Both ends of a longer one stay: paths begin alike, settings end alike.
    """
    if len(text) > LONGEST_LABEL:
        text = f"{text[: LONGEST_LABEL // 2 - 1]}…{text[-LONGEST_LABEL // 2 :]}"
    return plain(text)


def plain(text: str) -> str:
    """A text that plotly shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
