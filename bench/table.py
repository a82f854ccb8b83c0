"""Measurements as tables that read alike on a screen and in Markdown."""

from __future__ import annotations

from typing import Any


def rows(measured: list[dict[str, Any]]) -> str:
    """A Markdown table, a line for each row, a column for each key of any."""
    if not measured:
        return ""
    columns = list(dict.fromkeys(key for row in measured for key in row))
    cells = [
        [_cell(column, row[column]) if column in row else "" for column in columns]
        for row in measured
    ]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = [columns, ["-" * width for width in widths], *cells]
    return "\n".join(
        "| " + " | ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def facts(values: dict[str, Any]) -> str:
    """Names and values in one line."""
    return ", ".join(f"{name} {_cell(name, value)}" for name, value in values.items())


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "missed" if "to " in column else ""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, float):
        if column.startswith(("accuracy", "last accuracy", "with views")):
            return f"{value:.2%}"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)
