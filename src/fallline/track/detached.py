"""A tracker in a thread of its own: whoever measures never waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Final

import numpy as np

from fallline.records import Outcome, Record
from fallline.track.tracker import Tracker

MOST_WAITING: Final = 10_000  # calls; above, the tracker has stopped taking any
SECONDS_TO_FINISH: Final = 20.0


class Detached:
    """Opens a tracker and hands everything to it, in order, in a thread.

    What the tracker raises is raised by the next call here. `finish` waits for it, but not for
    ever.

    Args:
        open_tracker: makes the tracker; called in the thread, may take its time.
    """

    def __init__(self, open_tracker: Callable[[], Tracker]) -> None:
        self._calls: queue.Queue[Callable[[Tracker], None]] = queue.Queue(MOST_WAITING)
        self._error: Exception | None = None
        self._is_finished = False
        self._thread = threading.Thread(target=self._work, args=(open_tracker,), daemon=True)
        self._thread.start()

    def log(self, record: Record) -> None:
        """Passes the measurement on; raises TimeoutError when none was taken for long."""
        self._pass_on(lambda tracker: tracker.log(record))

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Passes the picture on."""
        self._pass_on(lambda tracker: tracker.show(name, picture, step))

    def finish(self, outcome: Outcome) -> None:
        """Waits until all is taken; raises TimeoutError when that takes too long."""
        self._pass_on(lambda tracker: self._finish(tracker, outcome))
        self._thread.join(SECONDS_TO_FINISH)
        if self._thread.is_alive():
            raise TimeoutError(f"not done {SECONDS_TO_FINISH:.0f} s after the run")
        self._raise_its_error()

    def _pass_on(self, call: Callable[[Tracker], None]) -> None:
        self._raise_its_error()
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            raise TimeoutError(f"it left {MOST_WAITING:,} calls waiting") from None

    def _raise_its_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self, open_tracker: Callable[[], Tracker]) -> None:
        try:
            tracker = open_tracker()
            while not self._is_finished:
                self._calls.get()(tracker)
        except Exception as error:  # any: it is raised again where somebody listens
            self._error = error

    def _finish(self, tracker: Tracker, outcome: Outcome) -> None:
        self._is_finished = True
        tracker.finish(outcome)
