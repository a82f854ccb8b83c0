"""The folder of cache files: who makes one, who waits for it, what is there."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fallline.data.cache import (
    Contents,
    PixelWriter,
    Stale,
    Unusable,
    describe,
    open_set,
    write_set,
)
from fallline.data.imageset import ImageSet, Progress
from fallline.errors import DataError
from fallline.storage import cache_folder, storage_error

SUFFIX = ".images"


@dataclass(frozen=True)
class Request:
    """An image set that is wanted.

    Attributes:
        name: what people call it.
        source: the row, or the path of the folder or archive.
        stamp: what the source looks like now.
        options: what else decides the pixels (size, channels).
        fill: makes the pixels.
    """

    name: str
    source: str
    stamp: str
    options: str
    fill: Callable[[PixelWriter], Contents]

    @property
    def file_name(self) -> str:
        """One file per source and options, readable and without collisions."""
        key = hashlib.sha256(f"{self.source}\n{self.options}".encode(errors="surrogateescape"))
        plain = re.sub(r"[^A-Za-z0-9]+", "_", self.name).strip("_")[:40] or "set"
        return f"{plain}-{key.hexdigest()[:12]}{SUFFIX}"

    @property
    def about(self) -> dict[str, Any]:
        """What the cache file says of where it comes from."""
        return {
            "name": self.name,
            "source": self.source,
            "stamp": self.stamp,
            "options": self.options,
        }


def sets_folder() -> Path:
    """Where the cache files are."""
    return cache_folder() / "sets"


def obtain(request: Request, progress: Progress) -> ImageSet:
    """The set from its cache file, which is made first where it is missing, stale or damaged.

    One process makes it while others wait; readers need no lock. Where the cache folder cannot
    be written, a temporary file takes its place and a note says so.

    Raises:
        StorageError: the disk is full, or no temporary file can be made either.
    """
    path = sets_folder() / request.file_name
    found, damage = _look(path, request.stamp)
    if found is not None:
        return found
    try:
        with _alone(path, request.name, progress):
            found, _ = _look(path, request.stamp)  # another process may have made it meanwhile
            if found is None:
                _remove_leftovers(path)
                write_set(path, request.about, request.fill)
                found = open_set(path, request.stamp)
    except _ReadOnly as error:
        return _obtain_for_now(request, error)
    return replace(found, notes=found.notes + ((damage,) if damage else ()))


def is_cached(request: Request) -> bool:
    """Whether `obtain` would find a good file."""
    return _look(sets_folder() / request.file_name, request.stamp)[0] is not None


def _look(path: Path, stamp: str) -> tuple[ImageSet | None, str]:
    """The set if its file is good; else None and why it is made again (empty: there is none)."""
    try:
        return open_set(path, stamp), ""
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except Stale as error:
        return None, f"decoded again, {error}"
    except (OSError, Unusable) as error:
        return None, f"the cache file {path} was damaged and made again: {error}"


class _ReadOnly(Exception):
    """The cache folder cannot be written to."""


@contextmanager
def _alone(path: Path, name: str, progress: Progress) -> Iterator[None]:
    """Keeps other processes from making the same file."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):  # where the lock file is, it might be opened
            raise PermissionError(errno.EACCES, "Permission denied")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting = f"wait for another process that prepares {name}"
            progress(waiting, 0, 0)
            lock.acquire()
            progress(waiting, 1, 1)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise storage_error(path, error) from error
        raise _ReadOnly(f"{path.parent}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _remove_leftovers(path: Path) -> None:
    """Deletes what a killed process left half-written; the lock is ours, so nobody writes."""
    for leftover in path.parent.glob(f".{path.name}.*"):
        leftover.unlink(missing_ok=True)


def _obtain_for_now(request: Request, reason: Exception) -> ImageSet:
    """The set from a temporary file that vanishes with this process."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="fallline-"))
    except OSError as error:
        raise storage_error(Path(tempfile.gettempdir()), error) from error
    try:
        write_set(folder / request.file_name, request.about, request.fill)
        found = open_set(folder / request.file_name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a mapped file stays readable without its name
    note = f"the cache cannot be written ({reason}): decoded for this run alone"
    return replace(found, notes=(*found.notes, note))


@dataclass(frozen=True)
class CachedSet:
    """One cache file, as `fallline data show` lists it; `fault` says what is wrong with it."""

    path: Path
    bytes: int
    name: str = ""
    source: str = ""
    images: int = 0
    shape: tuple[int, ...] = ()  # (H, W, C)
    classes: int = 0
    fault: str | None = None


def cached_sets() -> list[CachedSet]:
    """What lies in the cache, by name, without reading the pixels."""
    return sorted(map(_summary, sets_folder().glob(f"*{SUFFIX}")), key=lambda s: (s.name, s.path))


def _summary(path: Path) -> CachedSet:
    size = path.stat().st_size
    try:
        about = describe(path)
    except (OSError, Unusable) as error:
        return CachedSet(path, size, fault=str(error))
    images, *shape = about["shape"]
    return CachedSet(
        path, size, about["name"], about["source"], images, tuple(shape), len(about["classes"])
    )


def check_cached(path: Path) -> ImageSet:
    """Reads a cache file through, every byte.

    Raises DataError if it is damaged or none, Stale if another version has made it.
    """
    try:
        return open_set(path, thorough=True)
    except Stale:
        raise
    except (OSError, Unusable) as error:
        raise DataError(
            "this cache file cannot be used",
            seen=f"{path}: {error}",
            next="delete it; it is made again when the image set is next used",
        ) from error
