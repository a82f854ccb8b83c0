"""How the package speaks: to a person at a terminal, to a log file, to a program.

Measurements and results go to standard output, notes and warnings to standard error.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final, Literal, TextIO

Show = Literal["auto", "bar", "lines", "quiet", "json", "silent"]
SECONDS_BETWEEN_DRAWINGS: Final = 0.25  # the cores are for training
SECONDS_BETWEEN_LINES: Final = 10.0
BAR_CELLS: Final = 24


def settled(show: Show) -> Literal["bar", "lines", "quiet", "json", "silent"]:
    """The way to show that `auto` means here: a bar on a terminal, else lines."""
    if show != "auto":
        return show
    return "bar" if _is_terminal() and os.environ.get("TERM") != "dumb" else "lines"


def clean(text: str) -> str:
    """The text in one line, without control characters a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def tell(text: str) -> None:
    """Says something to the person on standard error; a closed one is passed over."""
    with contextlib.suppress(OSError, ValueError):
        _write(sys.stderr, text + "\n")


def say(line: str) -> None:
    """Writes a line to standard output at once.

    Raises BrokenPipeError when its reader has gone (`| head`), after standard output is turned to
    nowhere: else the interpreter would complain once more when it ends.
    """
    try:
        _write(sys.stdout, line + "\n")
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise


@contextlib.contextmanager
def loading(what: str) -> Iterator[None]:
    """Says at a terminal what is being loaded, and takes that back when it is there."""
    line = f"loading {what} ..."
    shown = sys.stderr is not None and sys.stderr.isatty()
    with contextlib.suppress(OSError, ValueError):
        _write(sys.stderr if shown else None, line)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            _write(sys.stderr if shown else None, f"\r{' ' * len(line)}\r")


def drawn_progress(show: Show) -> Callable[[str, int, int], None]:
    """Draws the progress of downloads and decoding: a bar, or a line now and then, or nothing."""
    way = settled(show)
    if way in ("quiet", "silent"):
        return lambda what, done, total: None
    return _Bar() if way == "bar" else _SparseLines()


class _Bar:
    """A bar that is drawn over itself and ends its line when all is done."""

    def __init__(self) -> None:
        self._drawn_at = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        finished = total > 0 and done >= total
        if finished or time.monotonic() - self._drawn_at >= SECONDS_BETWEEN_DRAWINGS:
            self._drawn_at = time.monotonic()
            line = f"\r{clean(what)[:40]}  {_bar(done, total)}\x1b[K" + ("\n" if finished else "")
            with contextlib.suppress(OSError, ValueError):  # it must not end what it draws
                _write(sys.stdout, line)


class _SparseLines:
    """A line every ten seconds, and none for work that takes less."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        if time.monotonic() - self._told_at >= SECONDS_BETWEEN_LINES:
            self._told_at = time.monotonic()
            tell(f"{clean(what)}: {_share(done, total)}")


def _bar(done: int, total: int) -> str:
    full = min(BAR_CELLS, BAR_CELLS * done // total) if total > 0 else 0
    return "━" * full + "─" * (BAR_CELLS - full) + f"  {_share(done, total)}"


def _share(done: int, total: int) -> str:
    return f"{done / total:.0%}" if total > 0 else f"{done:,}"


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _write(stream: TextIO | None, text: str) -> None:
    """Writes at once, letters the stream's encoding lacks as `?`; no stream, nothing."""
    if stream is not None:
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "replace").decode(encoding, "replace"))
        stream.flush()
