"""One tracker that hands everything to several, and outlives those that fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fallline.errors import FalllineError
from fallline.records import Outcome, Record
from fallline.registry import load
from fallline.track.detached import Detached
from fallline.track.table import TRACKERS, TrackerRow
from fallline.track.terminal import Show, clean, settled, tell
from fallline.track.tracker import RunStart, Tracker


@dataclass(frozen=True)
class Member:
    """A tracker under its name; `required` ones end the run when they fail.

    Pictures are drawn for those that take `pictures`.
    """

    name: str
    tracker: Tracker
    required: bool = False
    pictures: bool = False


class Trackers:
    """Hands everything to its members, in order.

    A member that raises is left out from then on, with one line that names it and the reason:
    training goes on. What a required one raises (StorageError) goes through.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = list(members)

    @property
    def names(self) -> tuple[str, ...]:
        """The members that still take measurements."""
        return tuple(member.name for member in self._members)

    def log(self, record: Record) -> None:
        """Takes one measurement."""
        self._each(lambda tracker: tracker.log(record))

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Takes a picture, `uint8 (H, W, 3)`."""
        self._each(lambda tracker: tracker.show(name, picture, step))

    def draw(self, name: str, drawn: Callable[[], np.ndarray], step: int) -> None:
        """Has a picture drawn and takes it, if any member does; one that fails is passed over."""
        if any(member.pictures for member in self._members):
            try:
                picture = drawn()
            except Exception as error:  # whatever fails in there, the run is worth more
                _warn(f"the picture {name}", error)
            else:
                self.show(name, picture, step)

    def finish(self, outcome: Outcome) -> None:
        """The run has ended."""
        self._each(lambda tracker: tracker.finish(outcome))

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for member in tuple(self._members):
            if member.required:
                act(member.tracker)
                continue
            try:
                act(member.tracker)
            except Exception as error:  # whatever fails in there, the training is worth more
                self._members.remove(member)
                _warn(member.name, error)


def open_trackers(start: RunStart, *, show: Show) -> Trackers:
    """Opens every tracker that the config and `show` ask for.

    Args:
        start: what the run is.
        show: what to print; auto means a bar on a terminal, else lines.

    Raises StorageError when the run folder takes no measurements; another tracker that cannot be
    opened is named in one line and left out.
    """
    way, track = settled(show), start.config.get("track", {})
    opened = [_open(row, start) for row in TRACKERS if row.wanted(track, way)]
    return Trackers([member for member in opened if member is not None])


def _open(row: TrackerRow, start: RunStart) -> Member | None:
    try:
        return Member(row.name, _opened(row, start), row.required, row.pictures)
    except Exception as error:  # whatever fails in there, the training is worth more
        if row.required:
            raise
        _warn(row.name, error)
        return None


def _opened(row: TrackerRow, start: RunStart) -> Tracker:
    opener: Callable[[RunStart], Tracker] = load(row.target)  # not in the thread: it is work
    if not row.detached:
        return opener(start)
    _ = start.past  # read before the run folder gets more
    return Detached(lambda: opener(start))


def _warn(name: str, error: Exception) -> None:
    if isinstance(error, BrokenPipeError):
        return  # whoever read our output has seen enough
    faults = error.faults if isinstance(error, FalllineError) else ()
    parts = [part for f in faults for part in (f.what, f.seen, f.next) if part]
    reason = clean("; ".join(parts) or f"{type(error).__name__}: {error}")
    tell(f"warning: the run goes on without {name} ({reason})")
