"""`fallline report`: one page on a run, several runs, a sweep or a comparison."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from fallline.report.files import write_report
from fallline.track.terminal import say


def write(paths: list[Path], out: Path | None, figures: Path | None, open_browser: bool) -> None:
    """Writes the page, says where it lies, and opens it if asked to."""
    target = write_report(paths, out=out, figures=figures)
    say(f"report     {target} ({target.stat().st_size / 1e6:.1f} MB)")
    if figures:
        say(f"figures    {figures}: SVG, PNG and CSV")
    if open_browser:
        webbrowser.open(target.resolve().as_uri())
