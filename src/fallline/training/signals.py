"""Ctrl-C and SIGTERM: the first asks the training to stop, the second stops at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_WATCHED = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody asked to stop; the loop looks after every step."""

    signum: int | None = None

    @property
    def name(self) -> str:
        """The signal's name, as people know it."""
        return signal.Signals(self.signum).name if self.signum is not None else "nobody"

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:  # the second time: let the system do what it does
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        self.signum = signum
        text = f"\n{self.name}: finishing the step and saving (once more stops at once)\n"
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, text.encode())


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Signals set the request inside and do what they did before again after.

    Outside the main thread, where Python allows no handlers, the request is never set.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {signum: signal.signal(signum, request._receive) for signum in _WATCHED}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
