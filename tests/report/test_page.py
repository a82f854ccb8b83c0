"""The page as a reader meets it: in a real browser, from disk."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from browser import DESK, PHONE, Browser
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from sweep_folder import copied
from test_numbers import copy, rewrite

from fallline.report.files import write_report

PAGES = ["run_page", "sweep_page", "comparison_page"]
ROWS = "#run-table tbody tr:not(.detail)"


def page_of(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report([path], out=tmp_path_factory.mktemp("page") / "page.html", show="quiet")


@pytest.fixture(scope="module")
def run_page(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(digits_run, tmp_path_factory)


@pytest.fixture(scope="module")
def sweep_page(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(sweep, tmp_path_factory)


def column(browser: Browser, title: str) -> list[str]:
    titles = [t.split("\n")[0].strip() for t in browser.texts("#run-table thead th")]
    place = titles.index(title) + 1
    return browser.texts(f"{ROWS} > :nth-child({place})")


def press_title(browser: Browser, title: str) -> None:
    browser.run(
        "[...document.querySelectorAll('#run-table thead button')]"
        ".find(b => b.textContent === arguments[0]).click()",
        title,
    )


@pytest.fixture(scope="module")
def comparison_page(comparison: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(comparison, tmp_path_factory)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_from_disk_with_no_complaint_and_no_request(
    browser: Browser, page: str, request: pytest.FixtureRequest
) -> None:
    file: Path = request.getfixturevalue(page)
    browser.open(file)
    browser.draw_all()
    console, asked = browser.noticed()
    assert console == []
    assert asked == [file.resolve().as_uri()]
    assert file.stat().st_size < 6e6
    assert browser.texts("h1")[0]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("size", [DESK, PHONE, (320, 640)], ids=["desk", "phone", "small"])
def test_nothing_reaches_beyond_the_screen(
    browser: Browser, page: str, size: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    browser.open(request.getfixturevalue(page), size)
    browser.draw_all()
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]


def test_a_column_s_title_sorts_both_ways_and_runs_without_a_value_stay_last(
    browser: Browser, sweep_page: Path
) -> None:
    browser.open(sweep_page)
    for best_first in (True, False):
        press_title(browser, "accuracy on val")
        values = [float(text.split()[0]) for text in column(browser, "accuracy on val")[:-1]]
        assert values == sorted(values, reverse=best_first)
        assert column(browser, "state")[-1] == "diverged"
    press_title(browser, "optimizer")
    assert column(browser, "optimizer") == sorted(column(browser, "optimizer"))
    assert browser.run("return document.querySelectorAll('th[aria-sort=ascending]').length") == 1


def test_words_filter_the_table(browser: Browser, sweep_page: Path) -> None:
    browser.open(sweep_page)
    browser.find("#filter").send_keys("muon completed")
    assert column(browser, "optimizer") == ["muon"] * 4
    assert browser.texts("#count") == ["4 of 14 runs"]
    browser.find("#filter").send_keys(" nothing-has-this")
    assert column(browser, "optimizer") == []


def test_a_run_unfolds_to_its_folder_command_and_settings(
    browser: Browser, sweep_page: Path, sweep: Path
) -> None:
    browser.open(sweep_page)
    browser.find(".unfold").click()
    detail = browser.texts(".detail")[0]
    name = browser.texts(".unfold")[0]
    assert f"fallline train --config {sweep / name / 'config.json'}" in detail
    assert str(sweep / name) in detail
    assert "train.batch_size" in detail
    browser.find(".unfold").click()
    assert browser.texts(".detail") == []


def test_the_table_works_from_the_keyboard(browser: Browser, sweep_page: Path) -> None:
    browser.open(sweep_page)
    first = browser.find("#run-table thead button")
    first.send_keys(Keys.ENTER)
    assert column(browser, "run") == sorted(column(browser, "run"))
    unfold = browser.find(".unfold")
    unfold.send_keys(Keys.ENTER)
    assert browser.texts(".detail")


def test_the_arrow_keys_keep_lines_of_the_parallel_coordinates_and_rows_of_the_table(
    browser: Browser, sweep_page: Path
) -> None:
    browser.open(sweep_page)
    low_end = browser.find(".parallel g:last-of-type .end")
    for _ in range(6):
        low_end.send_keys(Keys.PAGE_UP)
    kept = [float(text.split()[0]) for text in column(browser, "accuracy on val")]
    assert 0 < len(kept) < 14
    assert min(kept) > 50
    browser.find(".unbrush").click()
    assert len(column(browser, "run")) == 14


def test_dragging_along_an_axis_does_the_same(browser: Browser, sweep_page: Path) -> None:
    browser.open(sweep_page)
    axis = browser.find(".parallel g:last-of-type .hit")
    actions = ActionChains(browser.driver, duration=20)
    actions.move_to_element_with_offset(axis, 0, -150).click_and_hold()
    actions.move_by_offset(0, 80).release().perform()
    assert 0 < len(column(browser, "run")) < 14


def test_brushes_on_two_models_keep_the_runs_of_either(
    browser: Browser, comparison_page: Path
) -> None:
    browser.open(comparison_page)
    every = len(column(browser, "run"))
    kept = []
    for model in ("mlp", "convnet"):
        end = browser.find(f"#parallel-{model} g:last-of-type .end")
        for _ in range(4):
            end.send_keys(Keys.PAGE_UP)
        kept.append(set(column(browser, "run")))
    assert kept[0] < kept[1]
    assert len(kept[1]) < every
    assert {name.split("-")[1] for name in kept[0]} == {"mlp"}
    assert {name.split("-")[1] for name in kept[1]} == {"mlp", "convnet"}
    for unbrush in ("#parallel-mlp .unbrush", "#parallel-convnet .unbrush"):
        browser.find(unbrush).click()
    assert len(column(browser, "run")) == every


def test_hovering_tells_the_value(browser: Browser, sweep_page: Path) -> None:
    browser.open(sweep_page)
    browser.draw_all()
    point = browser.find("#figure-ranking .point")
    ActionChains(browser.driver, duration=20).move_to_element(point).perform()
    browser.wait_for(lambda: browser.run("return document.querySelector('.hovertext')"))
    told = browser.run("return document.querySelector('#figure-ranking .hoverlayer').textContent")
    assert "%" in told
    assert "seeds" in told


def test_the_theme_follows_the_system_until_the_reader_chooses(
    browser: Browser, sweep_page: Path
) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    ink = "return document.querySelector('#figure-ranking .xtick text').style.fill"
    browser.open(sweep_page, dark=True)
    browser.run("localStorage.clear()")
    browser.open(sweep_page, dark=True)
    browser.draw_all()
    dark, dark_ink = browser.run(paper), browser.run(ink)
    browser.find("#theme").click()
    light, light_ink = browser.run(paper), browser.run(ink)
    assert dark == "rgb(16, 18, 22)"
    assert light == "rgb(252, 252, 251)"
    assert dark_ink != light_ink
    browser.open(sweep_page, dark=True)
    assert browser.run(paper) == light  # remembered
    browser.run("localStorage.clear()")


def test_the_view_of_a_figure_can_be_changed(browser: Browser, sweep_page: Path) -> None:
    browser.open(sweep_page)
    browser.draw_all()
    title = "return document.querySelector('#figure-curves-steps .ytitle').textContent"
    assert browser.run(title) == "accuracy, held out"
    browser.find("#figure-curves-steps [data-view=loss]").click()
    browser.wait_for(lambda: browser.run(title) == "loss, held out")


def test_on_paper_every_figure_is_there(browser: Browser, sweep_page: Path) -> None:
    browser.open(sweep_page)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    count = "return document.querySelectorAll(arguments[0]).length"
    figures = browser.run(count, "[data-figure]")
    assert figures > 0
    browser.wait_for(lambda: browser.run(count, "[data-figure] .modebar-container") == figures)


def test_paper_is_white_also_where_the_screen_is_dark(browser: Browser, sweep_page: Path) -> None:
    ink = "return getComputedStyle(document.querySelector('.ytitle')).fill"
    paper = "return getComputedStyle(document.body).backgroundColor"
    browser.open(sweep_page, dark=True)
    browser.draw_all()
    on_screen = browser.run(ink), browser.run(paper)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(paper) == "rgb(252, 252, 251)"
    assert browser.run(ink) != on_screen[0]
    browser.run("dispatchEvent(new Event('afterprint'))")
    browser.wait_for(lambda: (browser.run(ink), browser.run(paper)) == on_screen)


HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\"><b>{{7*7}}"


def test_names_from_files_are_text_and_never_code(
    browser: Browser, digits_run: Path, tmp_path: Path
) -> None:
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    facts = {"name": HOSTILE, "command": HOSTILE, "metric": {"name": "val/accuracy"}}
    (sweep / "sweep.json").write_text(json.dumps(facts))
    for number in (0, 1):
        run = copy(digits_run, sweep / f"run-{number}")
        around = json.loads((run / "environment.json").read_text())
        classes = [f"{HOSTILE}{i}" for i in range(10)]
        data = around["data"] | {"classes": classes, "name": HOSTILE, "validation": HOSTILE}
        rewrite(run / "environment.json", data=data, device_name=HOSTILE)
        parameters = {HOSTILE: number, "optim.name": f"{number}{HOSTILE}"}
        plain = {"sweep": HOSTILE, "trial": number, "seed": 0, "parameters": parameters}
        (run / "trial.json").write_text(json.dumps(plain))
        rewrite(run / "outcome.json", reason=HOSTILE)
    page = write_report([sweep], show="quiet")
    browser.open(page)
    browser.draw_all()
    browser.find(".unfold").click()
    console, asked = browser.noticed()
    assert console == []
    assert asked == [page.resolve().as_uri()]
    assert browser.run("return document.title").startswith("</script>")
    assert browser.run("return document.querySelectorAll('img[src=x], b').length") == 0
    assert HOSTILE in browser.texts(".detail")[0]
    assert "49" not in browser.texts("h1")[0]


@pytest.mark.alone
def test_a_sweep_of_500_runs_is_written_in_20_seconds_and_scrolls(
    browser: Browser, sweep: Path, tmp_path: Path
) -> None:
    big = copied(sweep, 500, tmp_path)
    began = time.process_time()
    page = write_report([big], show="quiet")
    assert time.process_time() - began < 12  # of the 20 that a reader waits at most
    opened = time.monotonic()
    browser.open(page)
    browser.draw_all()
    assert time.monotonic() - opened < 20
    assert page.stat().st_size < 4e6
    assert browser.noticed()[0] == []
    nodes = browser.run("return document.querySelectorAll('*').length")
    assert nodes < 25_000
    frames = browser.frames_while_scrolling()
    assert sorted(frames)[len(frames) // 2] < 100  # ms; 17 where nothing else runs
    browser.find("#filter").send_keys("muon")
    assert set(column(browser, "optimizer")) == {"muon"}


def test_a_comparison_kept_without_its_runs_opens_as_well(
    browser: Browser, comparison: Path, tmp_path: Path
) -> None:
    (tmp_path / "comparison.json").write_bytes((comparison / "comparison.json").read_bytes())
    page = write_report([tmp_path], show="quiet")
    browser.open(page)
    browser.draw_all()
    assert browser.noticed()[0] == []
    assert browser.texts("#run-table") == []
    browser.find(".copy").click()
    browser.wait_for(lambda: browser.texts(".copy") != ["Copy"])
