"""Takes the docs' pictures of reports: sections of pages as Chromium shows them.

python docs/pictures/draw_report.py SWEEP COMPARISON
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "report"))

from browser import PHONE, Browser  # noqa: E402  # the tests' own, found by the line above

from fallline.report.files import write_report  # noqa: E402

SHOTS = (  # picture, page, selector ("": what can be seen), size, dark
    ("report", "sweep", "", (1200, 980), False),
    ("report-dark", "comparison", "", (1200, 980), True),
    ("report-settings", "sweep", "#settings", (1200, 1700), False),
    ("report-winner", "comparison", "#winner", (1200, 1300), False),
    ("report-phone", "comparison", "", PHONE, False),
)


def main(sweep: Path, comparison: Path) -> None:
    """Writes the pictures beside this file, in few colours: each stays below 300 KB."""
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
                target = Path(__file__).with_name(f"{name}.png")
                browser.picture(target, selector or None)
                Image.open(target).convert("P", palette=Image.Palette.ADAPTIVE).save(target)
        finally:
            browser.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
