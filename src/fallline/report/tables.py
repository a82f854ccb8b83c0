"""The tables of a report as CSV: what the page shows, with every digit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from fallline.report.document import Document
from fallline.report.estimate import Estimate
from fallline.report.winner import Winner

Lines = Iterable[Sequence[object]]


def csv_tables(document: Document) -> dict[str, str]:
    """The texts of the CSV files, by name; no cell can be read as a formula."""
    found = {"runs": _runs(document)}
    if document.standings:
        found["ranking"] = _ranking(document)
    if document.effects and document.effects.importances:
        found["importance"] = (
            ("setting", "share", "by_chance", "configurations"),
            *((i.key, i.share, i.by_chance, i.n) for i in document.effects.importances),
        )
    if document.winner:
        found["classes"] = _classes(document.winner)
        if document.winner.counts is not None:
            found["confusion"] = _confusion(document.winner)
    return {name: _text(lines) for name, lines in found.items()}


def _runs(document: Document) -> Lines:
    table = document.table
    yield ["run", *(column.title for column in table.columns), "folder", "command", "reason"]
    for row in table.rows:
        keys = [cell.key for cell in row.cells]
        yield [row.name, *keys, row.folder, row.command, row.reason]


def _ranking(document: Document) -> Lines:
    ends = ("mean", "low", "high", "n")
    yield [
        *("place", "configuration", "settings"),
        *ends,
        *(f"behind_{end}" for end in ends),
        "verdict",
        *(f"test_{end}" for end in ends),
    ]
    for s in document.standings:
        configuration = s.configuration
        yield [
            *(s.place, configuration.title, s.chosen),
            *_ends(configuration.value),
            *_ends(s.behind),
            s.verdict,
            *_ends(configuration.test),
        ]


def _ends(estimate: Estimate | None) -> Sequence[object]:
    if estimate is None:
        return (None,) * 4
    return (estimate.value, estimate.low, estimate.high, estimate.n)


def _classes(winner: Winner) -> Lines:
    yield ("class", "images", "accuracy", "low", "high")
    for score in winner.scores:
        accuracy = score.accuracy
        yield (score.name, score.images, accuracy.value, accuracy.low, accuracy.high)


def _confusion(winner: Winner) -> Lines:
    assert winner.counts is not None
    yield ("true class", *winner.classes)
    for name, row in zip(winner.classes, winner.counts, strict=True):
        yield (name, *(int(count) for count in row))


def _text(lines: Lines) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for line in lines:
        writer.writerow([_harmless(cell) for cell in line])
    return buffer.getvalue()


def _harmless(cell: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell
