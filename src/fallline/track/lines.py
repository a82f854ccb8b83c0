"""A run as text, for log files, pipes and programs: no bar, no control characters."""

from __future__ import annotations

import json

import numpy as np

from fallline.records import Outcome, Record
from fallline.track import wording
from fallline.track.terminal import say, tell
from fallline.track.tracker import RunStart


class LinesTracker:
    """A header, a line per epoch, a summary."""

    def __init__(self, start: RunStart) -> None:
        self._start = start
        for line in [*wording.header(start), "", wording.titles()]:
            say(line)

    def log(self, record: Record) -> None:
        """Prints epochs."""
        if record.event == "epoch":
            say(wording.epoch_line(record))

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Draws nothing."""

    def finish(self, outcome: Outcome) -> None:
        """Prints the summary."""
        for line in ["", *wording.summary(self._start, outcome)]:
            say(line)


class QuietTracker:
    """The outcome in one line, nothing before; notes go to standard error."""

    def __init__(self, start: RunStart) -> None:
        self._start = start

    def log(self, record: Record) -> None:
        """Prints nothing."""

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Draws nothing."""

    def finish(self, outcome: Outcome) -> None:
        """Prints the outcome."""
        for note in wording.notes(self._start):
            tell(f"note: {note}")
        say(wording.last_line(self._start, outcome))


class JsonTracker:
    """One JSON object per line: every record as in metrics.jsonl, then the outcome."""

    def __init__(self, start: RunStart) -> None:
        self._start = start

    def log(self, record: Record) -> None:
        """Prints the record."""
        say(record.as_json())

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Prints nothing."""

    def finish(self, outcome: Outcome) -> None:
        """Prints the outcome with `event: outcome` and the run's folder."""
        where = {"event": "outcome", "folder": str(self._start.folder.path)}
        say(json.dumps(where | json.loads(outcome.as_json())))
