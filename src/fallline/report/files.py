"""What the command writes: the page, and by choice every figure and table as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from fallline.report.document import document_of
from fallline.report.page import page
from fallline.report.sources import read_source
from fallline.storage import write_atomically
from fallline.track.terminal import Show, drawn_progress


def write_report(
    paths: Sequence[str | Path], *, out: str | Path | None = None, show: Show = "auto"
) -> Path:
    """Writes the report of runs, a sweep or a comparison as one HTML file.

    Args:
        paths: run folders, or folders that hold them.
        out: the file; by default report.html in the one path, or here for several.
        show: how to show progress.

    Returns the file's path. Raises RunError if a path holds no run, StorageError.
    """
    given = [Path(path) for path in paths]
    document = document_of(read_source(given, drawn_progress(show)))
    target = Path(out) if out else (given[0] if len(given) == 1 else Path()) / "report.html"
    write_atomically(target, page(document, f"Fallline {version('fallline')}"))
    return target
