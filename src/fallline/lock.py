"""A file that one process at a time holds, on disks where such locks work; a kill lets it go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fallline.errors import RunError
from fallline.storage import storage_error

LOCK: Final = ".lock"
"""The file that whoever writes to the folder of a run, a sweep or a comparison holds."""


@contextmanager
def locked(path: Path, taken: RunError, *, wait: float = 0.0) -> Iterator[None]:
    """Holds the lock file `path`; raises `taken` if another still does after `wait` seconds.

    Raises StorageError where there can be no such file.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=wait)
    try:
        lock.acquire()
    except Timeout:
        raise taken from None
    except OSError as error:
        raise storage_error(path, error) from error
    try:
        yield
    finally:
        lock.release()
