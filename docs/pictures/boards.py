"""Boards at work: what a terminal shows of a real sweep and a real comparison, as SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console, Group, RenderableType
from rich.text import Text

from fallline.contest import race
from fallline.contest.wording import plan_lines
from fallline.sweep import leaderboard
from fallline.sweep.wording import header

WIDTH = 116  # characters
SHOWN = 30  # lines there is room for


@contextmanager
def watched_sweep(picture: Path) -> Iterator[None]:
    """Keeps the leaderboard of the sweep that runs meanwhile, as it was two thirds through."""
    real, last = leaderboard.drawn, _Last()

    def drawn(scene: Any, running: Any, height: int) -> Group:
        now, board = scene.standings(), real(scene, running, SHOWN)
        if now.ended <= 2 * now.cap / 3 and len(running) > 1:
            last.keep([*map(Text, header(scene)), board])
        return board

    with mock.patch.object(leaderboard, "drawn", drawn):
        yield
    last.draw(picture, "fallline sweep")


@contextmanager
def watched_comparison(picture: Path) -> Iterator[None]:
    """Keeps the race of the comparison that runs meanwhile, as its repeats were under way."""
    real: Callable[..., Group] = race.Race.drawn
    last = _Last()

    def drawn(self: Any, lanes: Any) -> Group:
        board, scene = real(self, lanes), self._scene  # a lane for each optimizer
        if sum(lane.ended for lane in lanes) <= 0.8 * sum(lane.planned for lane in lanes):
            facts = plan_lines(scene.search.plan, scene.folder)
            last.keep([*map(Text, facts[: -len(lanes)]), board])  # without the search spaces
        return board

    with mock.patch.object(race.Race, "drawn", drawn):
        yield
    last.draw(picture, "fallline compare")


class _Last:
    """The last moment that was worth a picture."""

    def __init__(self) -> None:
        self._shown: list[RenderableType] = []

    def keep(self, shown: list[RenderableType]) -> None:
        self._shown = shown

    def draw(self, picture: Path, title: str) -> None:
        """Without rich's fonts, which a browser would fetch from the network."""
        console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
        for part in self._shown:
            console.print(part, highlight=False, markup=False)
        drawn = console.export_svg(title=title, unique_id=picture.stem)
        picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL))
