"""Ctrl-C and SIGTERM: the first asks the training to stop, the second stops at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_WATCHED = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody asked to stop, a signal or a caller; the loop looks after every step."""

    by: str | None = None
    signum: int | None = None

    @property
    def name(self) -> str:
        """Who asked; of a signal its name, as people know it."""
        return self.by or "nobody"

    def ask(self, by: str) -> None:
        """Asks to save and stop; may be called from any thread."""
        self.by = self.by or by

    def obey(self) -> None:
        """What the signal would have done at once: KeyboardInterrupt or SystemExit."""
        if self.signum == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signum is not None:
            raise SystemExit(128 + self.signum)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        name = signal.Signals(signum).name
        if self.signum is not None:  # the second time: let the system do what it does
            _tell(f"{name} once more: stopped at once, without saving")
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        self.signum = signum
        self.ask(name)
        _tell(f"{self.name}: finishing the step and saving (once more stops at once)")


def _tell(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads, or 2 has become another file's number
        if sys.__stderr__ is not None:
            os.write(sys.__stderr__.fileno(), f"\n{text}\n".encode())


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Signals set the request inside and do what they did before again after.

    Those that are ignored stay so (nohup, a shell's background job). Outside the main thread,
    where Python allows no handlers, the request is never set.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    heeded = [s for s in _WATCHED if signal.getsignal(s) not in (signal.SIG_IGN, None)]
    before = {signum: signal.signal(signum, request._receive) for signum in heeded}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
