"""A run folder kept equal on another machine: what changed in it, as parcels of bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fallline.storage import storage_error, write_atomically

LAST: Final = "outcome.json"  # where it is, everything is
GROWING: Final = (".jsonl", ".wandb", ".log")  # and event files: appended to, all others replaced


@dataclass(frozen=True)
class Parcel:
    """What changed in a folder.

    Attributes:
        files: for each changed file, by path below the folder: how many of its bytes stay, and
            what follows them.
        gone: the files that are no more.
    """

    files: Mapping[str, tuple[int, bytes]]
    gone: tuple[str, ...] = ()

    def unpack(self, folder: Path) -> None:
        """Brings the folder up to date, the outcome last. Raises StorageError."""
        for name in sorted(self.files, key=lambda name: (name == LAST, name)):
            kept, content = self.files[name]
            _write(_inside(folder, name), kept, content)
        for name in self.gone:
            _inside(folder, name).unlink(missing_ok=True)


class Mirror:
    """Tells what changed in a folder since it was last asked.

    A file that grew is sent from where it ended before, if it still begins with what was sent: a
    file in its place may have its inode. Hidden files (locks, files half written) and links are
    not sent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sent: dict[str, _Sent] = {}

    def changes(self) -> Parcel | None:
        """What is new; None if nothing is."""
        files, there = {}, set()
        for path in self._shown():
            name = path.relative_to(self._folder).as_posix()
            try:
                there.add(name)
                sent = self._sent.get(name, _NOTHING)
                if _mark(path.stat()) != sent.mark:
                    kept, content, self._sent[name] = _read(path, name, sent)
                    files[name] = kept, content
            except FileNotFoundError:  # an old checkpoint, dropped meanwhile
                there.discard(name)
        gone = tuple(name for name in self._sent if name not in there)
        for name in gone:
            del self._sent[name]
        return Parcel(files, gone) if files or gone else None

    def _shown(self) -> Iterator[Path]:
        for place, _, names in os.walk(self._folder):
            paths = (Path(place, name) for name in sorted(names) if not name.startswith("."))
            yield from (path for path in paths if not path.is_symlink())


@dataclass(frozen=True)
class _Sent:
    """What a file was when it was sent; the digest of one that is not appended to is empty."""

    mark: tuple[int, int, int]  # inode, bytes, time of modification
    digest: bytes


_NOTHING: Final = _Sent((0, 0, 0), b"")


def _read(path: Path, name: str, sent: _Sent) -> tuple[int, bytes, _Sent]:
    """How much of the file is there already, the rest, and what it is now; it may be growing."""
    with path.open("rb") as file:
        mark = _mark(os.fstat(file.fileno()))
        content = file.read(mark[1])
    if not _is_appended_to(name):
        return 0, content, _Sent(mark, b"")
    before = sent.mark[1]
    grew = 0 < before < len(content) and _digest(content[:before]) == sent.digest
    kept = before if grew else 0
    return kept, content[kept:], _Sent(mark, _digest(content))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _mark(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_ino, state.st_size, state.st_mtime_ns


def _is_appended_to(name: str) -> bool:
    return name.endswith(GROWING) or "tfevents" in name


def _write(path: Path, kept: int, content: bytes) -> None:
    if kept == 0:
        write_atomically(path, content)
        return
    try:
        with path.open("r+b") as file:
            file.seek(kept)
            file.write(content)
            file.truncate()
    except OSError as error:
        raise storage_error(path, error) from error


def _inside(folder: Path, name: str) -> Path:
    """The path of a file below the folder; a name that leads elsewhere is not written."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name} is not below a run folder")
    return folder / name
