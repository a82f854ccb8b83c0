"""From a document to one HTML file that holds all it needs and asks the network for nothing."""

from __future__ import annotations

import base64
import json
import math
import secrets
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from fallline.report import wording
from fallline.report.document import Document
from fallline.report.effects import Parallel
from fallline.report.figures import Figure, plotly_script


def page(document: Document, generator: str) -> str:
    """The HTML of a document; `generator` names the program and its version.

    Everything is escaped, and a policy in the page's head lets no script run but its own: what
    a class or a run is called cannot become code.
    """
    return (
        _environment()
        .get_template("page.html")
        .render(
            document=document,
            generator=generator,
            figures={figure.name: _drawn(figure) for figure in document.figures},
            parallels=_parallels(document),
            rows=_rows(document),
            style=_asset("page.css"),
            script=_asset("page.js") + _asset("parallel.js"),
            library=base64.b64encode(plotly_script()).decode() if document.figures else "",
            nonce=secrets.token_urlsafe(16),
            wording=wording,
        )
    )


def _drawn(figure: Figure) -> dict[str, Any]:
    return {"views": figure.views, "height": figure.height}


def _rows(document: Document) -> dict[str, Any]:
    """What unfolds below the rows of the table."""
    table = document.table
    rows = [[row.reason, row.folder, row.command, row.settings] for row in table.rows]
    return {"common": table.common, "rows": rows}


def _parallels(document: Document) -> dict[str, Any]:
    """The parallel coordinates by name; their lines name rows of the table by number."""
    place = {row.folder: index for index, row in enumerate(document.table.rows)}
    return {drawn.name: _parallel(drawn, place) for drawn in document.parallels}


def _parallel(drawn: Parallel, place: Mapping[str, int]) -> dict[str, Any]:
    lines = [
        [line.places, line.strength, line.title, [place[f] for f in line.folders if f in place]]
        for line in drawn.lines
    ]
    return {"axes": [[axis.title, axis.ticks] for axis in drawn.axes], "lines": lines}


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fallline.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_function"] = _as_json
    return environment


def _asset(name: str) -> str:
    return (files("fallline.report") / name).read_text(encoding="utf-8")


def _as_json(value: Any, **_: Any) -> str:
    """JSON in which what is not finite is null; jinja's tojson escapes what HTML reads."""
    return json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return (float(f"{value:.6g}")) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
