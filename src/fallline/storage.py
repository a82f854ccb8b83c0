"""Writing files so that neither a kill nor a full disk leaves a broken one behind."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from fallline.errors import StorageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

UMASK: Final = os.umask(0o077)  # it is told only to who sets another
os.umask(UMASK)


def cache_folder() -> Path:
    """Where what can be made anew is kept: FALLLINE_CACHE, else the user's cache folder."""
    chosen = os.environ.get("FALLLINE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("fallline", appauthor=False)


def storage_error(path: Path, error: OSError) -> StorageError:
    """The error of a write that failed, with the path and the state of its disk."""
    disk = next(folder for folder in [path, *path.parents] if os.path.exists(folder))
    free = shutil.disk_usage(disk).free / 2**20
    return StorageError(
        f"cannot write {path}",
        seen=f"{error.strerror or error} ({free:,.0f} MiB free on that disk)",
        next="free some space or choose another place with --out (FALLLINE_CACHE for the cache)",
    )


@contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under `path` whole and on disk, or not at all.

    Temporary file beside it, flush, fsync, rename, fsync of the folder. Raises StorageError.
    """
    with _storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with io.BufferedWriter(_Raw(descriptor, path)) as file:
            yield file
            file.flush()
            with _storing(path):
                os.fsync(file.fileno())
        with _storing(path):
            os.chmod(temporary, 0o666 & ~UMASK)  # as of any file; mkstemp's are the user's alone
            os.replace(temporary, path)
            _sync_folder(path.parent)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


class _Raw(io.FileIO):
    """The file itself: of what fails in the body of `atomic_writer`, only this is its concern."""

    def __init__(self, descriptor: int, path: Path) -> None:
        super().__init__(descriptor, "wb")
        self._path = path

    def write(self, content: ReadableBuffer, /) -> int:
        with _storing(self._path):
            return super().write(content)

    def truncate(self, size: int | None = None, /) -> int:
        with _storing(self._path):
            return super().truncate(size)


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    """What the system refuses becomes a StorageError."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from error


def make_folder(path: Path) -> None:
    """A folder with all above it. Raises StorageError where there can be none."""
    with _storing(path):
        path.mkdir(parents=True, exist_ok=True)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Puts `content` under `path`, whole or not at all. Raises StorageError."""
    with atomic_writer(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def names_in(folder: Path) -> set[str]:
    """What a folder holds, hidden files aside: locks, and those a kill left half written."""
    there = folder.iterdir() if folder.is_dir() else ()
    return {path.name for path in there if not path.name.startswith(".")}


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
