"""The ways to show a sweep while it runs: a leaderboard, lines, one line, JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Protocol

from fallline.registry import Table, load
from fallline.sweep.coordinator import Evaluated, News, Note, Over
from fallline.sweep.results import Result
from fallline.sweep.scene import Scene
from fallline.sweep.wording import ended_line, header, last_line, summary
from fallline.track.terminal import say, tell


class Board(Protocol):
    """Shows a sweep while it runs."""

    def __call__(self, news: News) -> None:
        """Takes news."""

    def finish(self, result: Result) -> None:
        """The sweep has ended."""

    def close(self) -> None:
        """Gives the terminal back, whatever happened."""


class LinesBoard:
    """A header, a line per training that ended, a summary."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        for line in [*header(scene), ""]:
            say(line)

    def __call__(self, news: News) -> None:
        """Prints ends and notes."""
        match news:
            case Over(task, result):
                say(ended_line(self._scene, task, result))
            case Note(text):
                tell(text)

    def finish(self, result: Result) -> None:
        """Prints the summary."""
        for line in ["", *summary(self._scene, result)]:
            say(line)

    def close(self) -> None:
        """There is nothing to close."""


class QuietBoard:
    """The best in one line at the end; notes on standard error."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __call__(self, news: News) -> None:
        """Tells notes."""
        if isinstance(news, Note):
            tell(news.text)

    def finish(self, result: Result) -> None:
        """Prints the best."""
        say(last_line(self._scene, result))

    def close(self) -> None:
        """There is nothing to close."""


class JsonBoard:
    """One JSON object per line: evaluations, ends, then the result."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __call__(self, news: News) -> None:
        """Prints evaluations and ends."""
        match news:
            case Evaluated(task, record):
                told = {**json.loads(record.as_json()), "event": "evaluated"}
                say(json.dumps({"run": task.key, **told}))
            case Over(task):
                trial = self._scene.trial(task).as_plain()
                say(json.dumps({"event": "ended", "run": task.key, **trial}))
            case Note(text):
                tell(text)

    def finish(self, result: Result) -> None:
        """Prints the result with `event: result`."""
        say(json.dumps({"event": "result", **result.as_plain()}))

    def close(self) -> None:
        """There is nothing to close."""


@dataclass(frozen=True)
class BoardRow:
    """A row, of sweeps or of comparisons; `target` points to a class that takes a Scene."""

    name: str
    summary: str
    target: str

    def build(self, scene: Any) -> Any:
        """The board of what is under way in the scene."""
        return load(self.target)(scene)


BOARDS: Final = Table(
    "way to show",
    [
        BoardRow(
            "bar",
            "a leaderboard that is redrawn; what a terminal gets",
            "fallline.sweep.leaderboard:Leaderboard",
        ),
        BoardRow(
            "lines",
            "a line per training; what log files and pipes get",
            "fallline.sweep.boards:LinesBoard",
        ),
        BoardRow("quiet", "the best in one line; --quiet", "fallline.sweep.boards:QuietBoard"),
        BoardRow("json", "one JSON object per event; --json", "fallline.sweep.boards:JsonBoard"),
    ],
)
