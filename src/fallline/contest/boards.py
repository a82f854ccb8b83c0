"""The ways to show a comparison while it runs: a race, lines, one line, JSON."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Protocol

from fallline.compare.comparison import Comparison
from fallline.contest.search import ContestSearch
from fallline.contest.wording import ended_line, header, summary
from fallline.registry import Table
from fallline.sweep.boards import BoardRow
from fallline.sweep.coordinator import Evaluated, News, Note, Over
from fallline.track.terminal import say, tell


@dataclass(frozen=True)
class Scene:
    """A comparison under way: its search and folder, trainings at a time, when it began."""

    search: ContestSearch
    folder: Path
    slots: int
    began: float = field(default_factory=time.monotonic)


class Board(Protocol):
    """Shows a comparison while it runs."""

    def __call__(self, news: News) -> None:
        """Takes news."""

    def finish(self, found: Comparison, page: Path | None) -> None:
        """The comparison has ended, or was stopped and has no page."""

    def close(self) -> None:
        """Gives the terminal back, whatever happened."""


class LinesBoard:
    """A header, a line per training that ended, the ranking."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        search = scene.search
        for line in [*header(search.plan, scene.folder, scene.slots, search.left()), ""]:
            say(line)

    def __call__(self, news: News) -> None:
        """Prints ends and notes."""
        match news:
            case Over(task):
                slate = self._scene.search.slate(task)
                say(ended_line(slate, self._scene.search.training(slate)))
            case Note(text):
                tell(text)

    def finish(self, found: Comparison, page: Path | None) -> None:
        """Prints the ranking."""
        for line in summary(found, self._scene.folder, page):
            say(line)

    def close(self) -> None:
        """There is nothing to close."""


class QuietBoard:
    """The answer at the end; notes on standard error."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __call__(self, news: News) -> None:
        """Tells notes."""
        if isinstance(news, Note):
            tell(news.text)

    def finish(self, found: Comparison, page: Path | None) -> None:
        """Prints the answer."""
        say(found.answer)

    def close(self) -> None:
        """There is nothing to close."""


class JsonBoard:
    """One JSON object per line: evaluations, ends, then the answer."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def __call__(self, news: News) -> None:
        """Prints evaluations and ends."""
        match news:
            case Evaluated(task, record):
                told = {**json.loads(record.as_json()), "event": "evaluated"}
                say(json.dumps({"run": task.key, **told}))
            case Over(task):
                slate = self._scene.search.slate(task)
                told = asdict(self._scene.search.training(slate))
                del told["curve"]
                say(json.dumps({"event": "ended", "run": task.key, **told}))
            case Note(text):
                tell(text)

    def finish(self, found: Comparison, page: Path | None) -> None:
        """Prints the answer with `event: result`; all of it is in comparison.json."""
        path = str(self._scene.folder)
        told = {"answer": found.answer, "complete": found.complete, "path": path}
        told |= {"page": str(page)} if page else {}
        say(json.dumps({"event": "result", **told}))

    def close(self) -> None:
        """There is nothing to close."""


BOARDS: Final = Table(
    "way to show",
    [
        BoardRow("bar", "a lane per optimizer; a terminal's", "fallline.contest.race:Race"),
        BoardRow("lines", "a line per training; a pipe's", "fallline.contest.boards:LinesBoard"),
        BoardRow("quiet", "the answer; --quiet", "fallline.contest.boards:QuietBoard"),
        BoardRow("json", "an object per event; --json", "fallline.contest.boards:JsonBoard"),
    ],
)
