"""Figures as SVG and PNG, for papers and slides: the page's own data, drawn by matplotlib."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from typing import Any, Final

from fallline.report.figures import Figure, Plain
from fallline.track.pictures import drawing

DOTS_PER_INCH: Final = 160
INK, SOFT, LINE = "#16181d", "#5a616d", "#e3e5e9"
INCHES_PER_PIXEL: Final = 1 / 80
WIDE: Final = 6.6  # inches
COLOURS: Final = {
    "--series-1": "#0072b2",
    "--series-2": "#d55e00",
    "--series-3": "#009e73",
    "--series-4": "#a8508a",
    "--series-5": "#c98a00",
    "--series-6": "#2d9fd8",
    "--series-7": "#6b6f78",
    "--faint": "#9aa1ad",
    "--ink": INK,
    "--bad": "#b3361b",
    "--card": "#ffffff",
}
DASHES: Final = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
MARKERS: Final = {
    "circle": "o",
    "x": "x",
    "x-thin-open": "x",
    "line-ns-open": "|",
    "diamond": "D",
    "square": "s",
    "triangle-up": "^",
    "cross": "P",
    "star": "*",
    "hexagon": "h",
    "circle-open": "o",
}


def drawings(figure: Figure) -> dict[str, bytes]:
    """The files of a figure, by name: SVG and PNG of each of its views."""
    found = {}
    for view, spec in figure.views.items():
        name = re.sub(r"[^a-z0-9]+", "-", f"{figure.name}-{view}".lower()).strip("-")
        with drawing():
            for kind, content in _draw(spec, figure).items():
                found[f"{name}.{kind}"] = content
    return found


def _draw(spec: Plain, figure: Figure) -> dict[str, bytes]:
    from matplotlib import rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    rcParams["svg.hashsalt"] = figure.name  # equal figures, equal files
    canvas = Canvas(
        figsize=(WIDE, figure.height * INCHES_PER_PIXEL), layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(canvas)
    axes = canvas.subplots()
    axes.grid(color=LINE, lw=0.6)
    axes.set_axisbelow(True)
    for line in spec["layout"].get("shapes", ()):
        axes.axvline(line["x0"], color=INK, lw=1, ls=":")
    for trace in spec["data"]:
        DRAWN[trace["type"]](axes, trace)
    _dress(axes, spec["layout"])
    labels = [text for text in axes.get_legend_handles_labels()[1] if not text.startswith("_")]
    if spec["layout"].get("showlegend", len(labels) > 1) and labels:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    files = {}
    for kind in ("svg", "png"):
        buffer = io.BytesIO()
        metadata: Any = {"Date": None} if kind == "svg" else None
        canvas.savefig(buffer, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
        files[kind] = buffer.getvalue()
    return files


def _points(trace: Plain) -> tuple[list[float], list[float]]:
    x, y = ([math.nan if v is None else v for v in trace[axis]] for axis in ("x", "y"))
    return x, y


def _scatter(axes: Any, trace: Plain) -> None:
    x, y = _points(trace)
    name = _name(trace)
    if trace.get("fill") == "toself":
        axes.fill(x, y, linewidth=0, **_colour(trace["fillcolor"]))
        return
    line, marker = trace.get("line", {}), trace.get("marker", {})
    if "error_x" in trace:
        bars = trace["error_x"]
        ends = [bars["arrayminus"], bars["array"]]
        axes.errorbar(x, y, xerr=ends, fmt="none", capsize=3, **_colour(bars["color"]))
    if "lines" in trace["mode"]:
        shape = "steps-post" if line.get("shape") == "hv" else "default"
        style = DASHES[line.get("dash", "solid")]
        width = 0.8 * line.get("width", 2)
        dots = _marker(marker.get("symbol", "circle"), 5) if "markers" in trace["mode"] else {}
        how = {"lw": width, "drawstyle": shape, "label": name} | dots | _colour(line["color"])
        axes.plot(x, y, style, **how)
    elif "markers" in trace["mode"]:
        symbols = marker.get("symbol", "circle")
        symbols = [symbols] * len(x) if isinstance(symbols, str) else symbols
        for symbol in dict.fromkeys(symbols):
            chosen = [place for place, each in enumerate(symbols) if each == symbol]
            how = _marker(symbol, marker.get("size", 6)) | {"ls": "none", "label": name}
            points = [x[place] for place in chosen], [y[place] for place in chosen]
            axes.plot(*points, **how, **_colour(marker["color"]))


def _marker(symbol: str, size: float) -> Plain:
    filling = {"fillstyle": "none"} if symbol.endswith("-open") else {}
    return {"marker": MARKERS.get(symbol, "o"), "ms": 0.7 * size} | filling


def _bars(axes: Any, trace: Plain) -> None:
    x, y = _points(trace)
    colours = [_colour(name)["color"] for name in trace["marker"]["color"]]
    axes.barh(y, x, color=colours, height=0.7, label=_name(trace))


def _heatmap(axes: Any, trace: Plain) -> None:
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    ends = [_colour(name)["color"] for _, name in trace["colorscale"]]
    axes.grid(False)
    cells = np.array([[np.nan if v is None else v for v in row] for row in trace["z"]])
    colours = LinearSegmentedColormap.from_list("", ends)
    axes.imshow(cells, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    if trace["texttemplate"]:
        for (row, column), strength in np.ndenumerate(cells):
            ink = "white" if strength > 0.55 else INK
            text = trace["text"][row][column]
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=7)


DRAWN: Final[dict[str, Callable[[Any, Plain], None]]] = {
    "scatter": _scatter,
    "bar": _bars,
    "heatmap": _heatmap,
}


def _dress(axes: Any, layout: Plain) -> None:
    for name, axis in (("x", layout["xaxis"]), ("y", layout["yaxis"])):
        text = _plain(axis.get("title", {}).get("text", ""))
        title = text + (
            f", {axis['ticksuffix'].strip()}" if axis.get("ticksuffix", " ").strip() else ""
        )
        getattr(axes, f"set_{name}label")(title, color=SOFT, fontsize=9, parse_math=False)
        if axis.get("type") == "log":
            getattr(axes, f"set_{name}scale")("log")
        if "tickvals" in axis:
            turned = {"rotation": 90} if axis.get("tickangle") else {}
            words = [_plain(word) for word in axis["ticktext"]]
            set_ticks = getattr(axes, f"set_{name}ticks")
            set_ticks(axis["tickvals"], words, fontsize=8, parse_math=False, **turned)
    if layout["yaxis"].get("autorange") == "reversed" and not axes.yaxis_inverted():
        axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(LINE)
    axes.tick_params(which="both", colors=SOFT, labelsize=8, length=0)


def _name(trace: Plain) -> str:
    is_shown = trace.get("showlegend", True) and trace.get("name")
    return _plain(trace["name"]) if is_shown else "_"


def _colour(name: str) -> dict[str, Any]:
    plain, _, alpha = name.partition("/")
    return {"color": COLOURS[plain]} | ({"alpha": float(alpha)} if alpha else {})


def _plain(text: str) -> str:
    """Back from what plotly reads as HTML; a dollar is no formula."""
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return text.replace("$", r"\$")
