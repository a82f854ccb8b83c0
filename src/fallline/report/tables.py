"""The tables of a report as CSV: what the page shows, with every digit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from fallline.report.document import Document
from fallline.report.grids import classes_lines, confusion_lines, importance_lines
from fallline.report.runtable import RunTable
from fallline.report.table import lines

Lines = Iterable[Sequence[object]]


def csv_tables(document: Document) -> dict[str, str]:
    """The texts of the CSV files, by name; no cell can be read as a formula."""
    found: dict[str, Lines] = {name: lines(grid) for name, grid in document.grids.items()}
    if document.table.rows:
        found["runs"] = _runs(document.table)
    for suffix, effects in document.effects.items():
        found[f"importance{suffix}"] = importance_lines(effects)
    for suffix, winner in document.winners.items():
        found[f"classes{suffix}"] = classes_lines(winner)
        found[f"confusion{suffix}"] = confusion_lines(winner)
    return {name: _text(told) for name, told in found.items() if told}


def _runs(table: RunTable) -> Lines:
    yield ["run", *(column.title for column in table.columns), "folder", "command", "reason"]
    for row in table.rows:
        keys = [cell.key for cell in row.cells]
        yield [row.name, *keys, row.folder, row.command, row.reason]


def _text(told: Lines) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for line in told:
        writer.writerow([_harmless(cell) for cell in line])
    return buffer.getvalue()


def _harmless(cell: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell
