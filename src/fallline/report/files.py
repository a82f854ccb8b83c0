"""What the command writes: the page, and by choice every figure and table as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from fallline.data.imageset import Progress
from fallline.report.comparison_document import comparison_document
from fallline.report.document import Document, document_of
from fallline.report.drawings import drawings
from fallline.report.page import page
from fallline.report.sources import read_source
from fallline.report.tables import csv_tables
from fallline.storage import write_atomically
from fallline.track.terminal import Show, drawn_progress


def write_report(
    paths: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    figures: str | Path | None = None,
    show: Show = "auto",
) -> Path:
    """Writes the report of runs, a sweep or a comparison as one HTML file.

    Args:
        paths: run folders, or folders that hold them.
        out: the file; by default report.html in the one path, or here for several.
        figures: a folder that gets every figure as SVG and PNG and every table as CSV.
        show: how to show progress.

    Returns the file's path. Raises RunError if a path holds no run, StorageError.
    """
    given = [Path(path) for path in paths]
    progress = drawn_progress(show)
    document = document_at(given, progress)
    target = Path(out) if out else (given[0] if len(given) == 1 else Path()) / "report.html"
    write_atomically(target, page(document, f"Fallline {version('fallline')}"))
    if figures is not None:
        _write_apart(document, Path(figures), progress)
    return target


def document_at(paths: Sequence[Path], progress: Progress | None = None) -> Document:
    """Everything a report on these paths says, as data. Raises RunError if a path holds no run."""
    source = read_source(paths, progress or drawn_progress("quiet"))
    if source.comparison is None:
        return document_of(source)
    return comparison_document(source.comparison, source.runs, source.paths[0])


def _write_apart(document: Document, folder: Path, progress: Progress) -> None:
    for name, text in csv_tables(document).items():
        write_atomically(folder / f"{name}.csv", text)
    for done, figure in enumerate(document.figures, 1):
        for name, content in drawings(figure).items():
            write_atomically(folder / name, content)
        progress("drawing", done, len(document.figures))
