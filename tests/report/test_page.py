"""The page as a reader meets it: in a real browser, from disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import DESK, PHONE, Browser

from fallline.report.files import write_report


@pytest.fixture(scope="module")
def run_page(digits_run: Path) -> Path:
    return write_report([digits_run], show="quiet")


def test_a_run_s_page_opens_from_disk_with_no_complaint_and_no_request(
    browser: Browser, run_page: Path
) -> None:
    browser.open(run_page)
    browser.find("#figure-curves-steps .main-svg")
    console, asked = browser.noticed()
    assert console == []
    assert asked == [run_page.resolve().as_uri()]
    assert run_page.stat().st_size < 6e6
    assert "of 360 test images of digits right" in browser.texts("h1")[0]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_reaches_beyond_the_screen(
    browser: Browser, run_page: Path, size: tuple[int, int]
) -> None:
    browser.open(run_page, size)
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
