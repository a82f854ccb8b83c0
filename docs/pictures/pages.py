"""Pages as Chromium shows them: reports, and Optuna's dashboard on a sweep."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "report"))

from browser import PHONE, Browser  # noqa: E402  # the tests' own, found by the line above

from fallline.report.files import write_report  # noqa: E402
from fallline.sweep.dashboard import start  # noqa: E402

SHOTS = (  # picture, page, selector ("": what can be seen), size, dark
    ("report", "sweep", "", (1200, 980), False),
    ("report-dark", "comparison", "", (1200, 980), True),
    ("report-settings", "sweep", "#settings", (1200, 1900), False),
    ("report-winner", "comparison", "#winner", (1200, 1500), False),
    ("report-phone", "comparison", "", PHONE, False),
)


def draw_reports(sweep: Path, comparison: Path, out: Path) -> None:
    """Sections of the pages of a sweep and a comparison."""
    with tempfile.TemporaryDirectory() as scratch:
        pages = {
            name: write_report([path], out=Path(scratch) / f"{name}.html", show="quiet")
            for name, path in (("sweep", sweep), ("comparison", comparison))
        }
        browser = Browser()
        try:
            for name, page, selector, size, dark in SHOTS:
                browser.open(pages[page], size, dark=dark)
                browser.draw_all()
                browser.picture(out / f"{name}.png", selector or None)
                _in_few_colours(out / f"{name}.png")
        finally:
            browser.close()


def draw_dashboard(sweep: Path, out: Path) -> None:
    """Optuna's dashboard on the sweep's study, served as `fallline board --sweep` does."""
    server = start(sweep, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = Browser()
    try:
        browser.visit(f"http://127.0.0.1:{server.server_port}/dashboard/studies/1", (1400, 1050))
        bars = "return document.querySelectorAll('.bars .point').length"
        browser.wait_for(lambda: browser.run(bars) > 0)  # of importance, which come last
        time.sleep(3)  # for what is animated
        browser.picture(out / "dashboard.png")
        _in_few_colours(out / "dashboard.png")
    finally:
        browser.close()
        server.shutdown()
        server.server_close()


def _in_few_colours(picture: Path) -> None:
    """Each stays below 300 KB."""
    Image.open(picture).convert("P", palette=Image.Palette.ADAPTIVE).save(picture)
