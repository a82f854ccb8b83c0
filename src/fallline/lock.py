"""A file that one process at a time holds, on disks where such locks work; a kill lets it go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fallline.errors import RunError

LOCK: Final = ".lock"
"""The file that whoever writes to the folder of a run, a sweep or a comparison holds."""


@contextmanager
def locked(path: Path, taken: RunError, *, wait: float = 0.0) -> Iterator[None]:
    """Holds the lock file `path`; raises `taken` if another still does after `wait` seconds."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=wait)
    try:
        lock.acquire()
    except Timeout:
        raise taken from None
    try:
        yield
    finally:
        lock.release()
