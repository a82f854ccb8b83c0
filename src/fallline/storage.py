"""Writing files so that neither a kill nor a full disk leaves a broken one behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fallline.errors import StorageError


def storage_error(path: Path, error: OSError) -> StorageError:
    """The error of a write that failed, with the path and the state of its disk."""
    disk = next(folder for folder in [path, *path.parents] if folder.exists())
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
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Puts `content` under `path`, whole or not at all. Raises StorageError."""
    with atomic_writer(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
