"""Figures: valid for the library that draws them, and the same as files."""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from test_numbers import report

from fallline.report.drawings import drawings
from fallline.report.figures import Figure
from fallline.report.files import write_report


def coloured(node: Any) -> Any:
    """The figure with the page's names of colours made real."""
    if isinstance(node, dict):
        return {key: coloured(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [coloured(value) for value in node]
    return "#123456" if isinstance(node, str) and node.startswith("--") else node


@pytest.fixture(scope="module")
def figures(digits_run: Path, sweep: Path, comparison: Path) -> list[Figure]:
    return [f for path in (digits_run, sweep, comparison) for f in report(path).figures]


def test_every_figure_is_valid_for_plotly(figures: list[Figure]) -> None:
    assert len(figures) > 10
    for figure in figures:
        for view in figure.views.values():
            go.Figure(coloured(view))  # raises ValueError for what plotly does not know


def test_every_colour_is_one_that_the_page_s_themes_define(figures: list[Figure]) -> None:
    style = (Path(write_report.__code__.co_filename).parent / "page.css").read_text()
    used = set(re.findall(r"--[a-z]+(?:-\d)?", str([figure.views for figure in figures])))
    assert used
    for name in used:
        assert style.count(f"{name}:") == 3, name  # light, dark by preference, dark by choice


def test_a_band_says_what_it_shows(figures: list[Figure]) -> None:
    banded = [f for f in figures if "'toself'" in str(f.views)]
    assert banded
    assert all(re.search("95 % intervals|resampling", f.caption) for f in banded)


def test_figures_become_svg_and_png_and_tables_csv(digits_run: Path, tmp_path: Path) -> None:
    write_report(
        [digits_run], out=tmp_path / "page.html", figures=tmp_path / "apart", show="quiet"
    )
    names = {path.name for path in (tmp_path / "apart").iterdir()}
    for name in ("classes.svg", "classes.png", "confusion.svg", "curves-steps-loss.svg"):
        assert name in names
    assert {"runs.csv", "classes.csv", "confusion.csv"} <= names
    text = (tmp_path / "apart" / "classes.svg").read_text()
    assert ET.fromstring(text).tag.endswith("svg")


def test_equal_figures_are_equal_files(figures: list[Figure]) -> None:
    figure = next(f for f in figures if f.name == "search")
    assert drawings(figure) == drawings(figure)


def test_a_ranking_a_bar_and_a_map_of_a_sweep_become_pictures(figures: list[Figure]) -> None:
    for name in ("ranking", "gaps-mlp", "best-of-mlp", "effect-0"):
        figure = next(f for f in figures if f.name == name)
        assert drawings(figure)[f"{name}.png"].startswith(b"\x89PNG")


def test_a_drawn_point_has_the_symbol_of_the_page(figures: list[Figure]) -> None:
    gaps = next(f for f in figures if f.name == "gaps-mlp")
    drawn = set()
    for symbol in ("circle", "circle-open", "star"):
        view = copy.deepcopy(dict(gaps.views[""]))
        view["data"][0]["marker"]["symbol"] = [symbol] * len(view["data"][0]["x"])
        drawn.add(drawings(replace(gaps, views={"": view}))["gaps-mlp.png"])
    assert len(drawn) == 3
