"""A folder of images as a source: what is in it, and what it looked like when we read it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fallline.data.decode import File
from fallline.data.layout import is_hidden
from fallline.errors import DataError


@dataclass(frozen=True)
class Entry:
    """A file of a source: its path within ("train/cat/1.jpg"), and itself."""

    name: str
    content: File


class Source(Protocol):
    """Where images come from.

    Attributes:
        path: the folder or archive.
        stamp: changes when it changes.
        folders: paths of the folders within; of an archive those passed so far.
        done, total: how far `files` has come, in any unit.
    """

    path: Path
    stamp: str
    folders: set[str]
    done: int
    total: int

    def listing(self) -> list[str] | None:
        """The names of all files, where they are known before reading."""

    def files(self, skip: Container[str]) -> Iterator[Entry]:
        """Every file that is not hidden and not in `skip`; may be asked again."""


class FolderSource:
    """A folder on disk. Links are followed; hidden files are not seen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folders: set[str] = set()
        self.done = 0
        self._names: list[str] = []
        digest = hashlib.sha256()
        for name, facts in sorted(_walk(path, self.folders)):
            self._names.append(name)
            digest.update(f"{name}\0{facts}\n".encode(errors="surrogateescape"))
        self.stamp = digest.hexdigest()
        self.total = len(self._names)

    def listing(self) -> list[str]:
        """The paths of all files, sorted."""
        return self._names

    def files(self, skip: Container[str]) -> Iterator[Entry]:
        """The files in the order of their paths."""
        for done, name in enumerate(self._names, 1):
            self.done = done
            if name not in skip:
                yield Entry(name, self.path / name)


_Place = tuple[int, int]
LINKED = 16
"""How many links may lead to a folder; a few that are nested could stand for billions."""


def _walk(root: Path, folders: set[str]) -> Iterator[tuple[str, str]]:
    """(path, size and time) of every file below; puts the folders it passes into `folders`."""
    top = root.stat()
    waiting = [("", frozenset({(top.st_dev, top.st_ino)}))]
    links: Counter[_Place] = Counter()
    while waiting:
        prefix, above = waiting.pop()
        try:
            with os.scandir(root / prefix) as entries:
                found = [(entry, _stat(entry)) for entry in entries]
        except OSError as error:
            raise DataError(
                "a folder cannot be read",
                seen=f"{root / prefix}: {error.strerror or error}",
                next="allow reading it, or move it out of the image set",
            ) from error
        for entry, facts in found:
            name = prefix + entry.name
            if is_hidden(entry.name):
                continue
            if facts is None or not stat.S_ISDIR(facts.st_mode):
                yield name, f"{facts.st_size} {facts.st_mtime_ns}" if facts else "no file"
                continue
            here = (facts.st_dev, facts.st_ino)
            links[here] += entry.is_symlink()
            if links[here] > LINKED:
                raise DataError(
                    "too many links lead to one folder",
                    seen=str(root / name),
                    allowed=f"up to {LINKED}",
                    next="leave out links, or copy what they lead to",
                )
            if here not in above:  # a link may lead back up
                folders.add(name)
                waiting.append((name + "/", above | {here}))


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What a file is; None for a link that leads nowhere."""
    try:
        return entry.stat()
    except OSError:
        return None
