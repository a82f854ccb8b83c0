"""A run folder in one process's hands: made or taken over, locked; removed if no run comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fallline.errors import RunError
from fallline.lock import LOCK, locked
from fallline.records import RunFolder
from fallline.storage import names_in


@contextmanager
def claimed(folder: RunFolder, *, wait: float = 0.0) -> Iterator[None]:
    """Holds the folder against other processes; makes it where it is not there.

    Until it holds a config.json it is no run: it is taken over after a kill, and removed after an
    error. Raises RunError if it is not ours to use, or still in use after `wait` seconds.
    """
    _make(folder)
    taken = RunError(
        "the run is under way in another process",
        seen=str(folder.path),
        next="wait for it, or stop it first",
    )
    with locked(folder.path / LOCK, taken, wait=wait):
        try:
            yield
        finally:
            if not folder.config.exists():
                _remove(folder)


def _make(folder: RunFolder) -> None:
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        begun = {folder.environment.name, folder.trial.name}  # by a run that was killed then
        ours = (folder.path / LOCK).exists() and names_in(folder.path) <= begun
        if not (folder.config.exists() or ours) and any(folder.path.iterdir()):
            raise RunError(
                "the folder exists already and holds no run",
                seen=str(folder.path),
                next="choose another --name",
            )
    except OSError as error:
        raise RunError(
            f"cannot make the run folder {folder.path}",
            seen=error.strerror or str(error),
            next="choose a place you may write to with --out",
        ) from error


def _remove(folder: RunFolder) -> None:
    """Removes what a run writes before its config; a folder with more in it stays."""
    with suppress(OSError):
        for path in (folder.environment, folder.trial, folder.path / LOCK):
            path.unlink(missing_ok=True)
        folder.path.rmdir()
