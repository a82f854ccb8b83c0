"""Archives as sources: read in a stream, never unpacked, and trusted in nothing.

Refused are paths that lead out of the archive, links, devices and files with holes, more than
`RATIO` times the bytes of the file (beyond 1 GiB), single files over 256 MiB, and anything cut
short or damaged.
"""

from __future__ import annotations

import gzip
import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tarfile import InvalidHeaderError, ReadError  # type: ignore[attr-defined]  # not in its stubs
from typing import IO, Any, cast

from fallline.data.folder import Entry, Source
from fallline.data.layout import is_hidden
from fallline.errors import DataError

RATIO = 200  # images hardly shrink in an archive; white bitmaps shrink 100 times
ALWAYS_ALLOWED = 2**30  # bytes unpacked
LARGEST_FILE = 256 * 2**20  # bytes
LARGEST_HEADER = 2**20  # bytes, of a long name or of what pax says of a file
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
FLAGGED_UTF8 = 1 << 11  # PKWARE's APPNOTE, 4.4.4
KINDS = ".zip .tar .tar.gz .tgz .tar.xz"


def open_archive(path: Path) -> Source:
    """The archive as a source; its kind is told by its content. Raises DataError."""
    head = b""
    if path.is_file():  # opening a pipe would wait for ever
        with _reading(path), path.open("rb") as file:
            head = file.read(512)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return ZipSource(path)
    if head.startswith((b"\x1f\x8b", b"\xfd7zXZ\0")) or head[257:262] == b"ustar":
        return TarSource(path)
    raise DataError(
        "this file is no archive of images",
        seen=f"{path} ({f'starts with {head[:8]!r}' if head else 'empty, or no regular file'})",
        allowed=f"a folder, or an archive: {KINDS}",
        next="give the folder that holds the class folders",
    )


class TarSource:
    """A tar archive, compressed or not, read front to back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamp = _stamp(path)
        self.folders: set[str] = set()
        self.done, self.total = 0, path.stat().st_size

    def listing(self) -> None:
        """Not known before the archive has been read."""

    def files(self, skip: Container[str]) -> Iterator[Entry]:
        """The files in the order of the archive."""
        seen: set[str] = set()
        with _reading(self.path), self.path.open("rb") as packed:
            stream = _Guarded(_unpacked(packed), self.path)
            plain = cast(IO[bytes], stream)
            with tarfile.open(fileobj=plain, mode="r|", tarinfo=_Member) as tar:
                for member in tar:
                    self.done = packed.tell()
                    name = self._checked(member)
                    if name == "" or is_hidden(name):
                        pass
                    elif member.isdir():
                        self.folders.add(name)
                    elif name in seen:
                        raise _twice(self.path, name)
                    elif name not in skip:
                        content = tar.extractfile(member)
                        assert content is not None
                        yield Entry(name, content.read())
                    seen.add(name)
                    cast(Any, tar).members.clear()  # else it keeps every header
            stream.finish(tar.offset)

    def _checked(self, member: tarfile.TarInfo) -> str:
        if not (member.isreg() or member.isdir()):
            raise _hostile(self.path, f"{member.name} is a link or a device")
        if (
            member.issparse()
        ):  # its holes cost the archive nothing: no guard of the stream sees them
            raise _hostile(self.path, f"{member.name} is a file with holes")
        _check_size(self.path, member.name, member.size)
        return _checked_name(self.path, member.name)


class _Member(tarfile.TarInfo):
    """A member whose header is whole and small: tarfile takes a damaged one for the end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> _Member:
        try:
            return super().fromtarfile(tarfile)
        except InvalidHeaderError as error:
            raise ReadError(f"a header is damaged: {error}") from error

    def _proc_member(self, tarfile: tarfile.TarFile) -> Any:
        if self.type in _HEADERS and self.size > LARGEST_HEADER:
            raise ReadError(f"a header of {self.size:,} bytes")
        return cast(Any, super())._proc_member(tarfile)


class ZipSource:
    """A zip archive, in the order of its paths."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamp = _stamp(path)
        with _reading(path), zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        allowed = _allowed(path)
        if sum(member.file_size for member in members) > allowed:
            raise _bomb(path, allowed)
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.folders: set[str] = set()
        for member in members:
            self._take(member)
        self.done, self.total = 0, len(self._members)

    def _take(self, member: zipfile.ZipInfo) -> None:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _hostile(self.path, f"{member.filename} is a link or a device")
        _check_size(self.path, member.filename, member.file_size)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(  # Python unpacks others whole, whatever size they claim
                "a file in the archive is packed by a method that is not read",
                seen=f"{self.path}: {member.filename} (method {member.compress_type})",
                allowed="stored or deflated files, as zip makes them by default",
                next="unpack it, and pack it anew or give the folder",
            )
        name = _checked_name(self.path, _utf8_name(member))
        if name == "" or is_hidden(name):
            return
        if member.is_dir() or member.filename.endswith("\\"):
            self.folders.add(name)
        elif name in self._members:
            raise _twice(self.path, name)
        else:
            self._members[name] = member

    def listing(self) -> list[str]:
        """The paths of all files, sorted."""
        return sorted(self._members)

    def files(self, skip: Container[str]) -> Iterator[Entry]:
        """The files in the order of their paths."""
        with _reading(self.path), zipfile.ZipFile(self.path) as archive:
            for done, name in enumerate(self.listing(), 1):
                self.done = done
                if name not in skip:
                    member = self._members[name]
                    with archive.open(member) as packed:  # no more is unpacked than it claims
                        content = packed.read(member.file_size)
                    yield Entry(name, content)


def _utf8_name(member: zipfile.ZipInfo) -> str:
    """The path, also where a UTF-8 one lacks its flag: Info-ZIP's on Linux and Finder's do.

    Such a path reaches us as if it were of code page 437, which has a letter for every byte.
    """
    with suppress(UnicodeError):
        if not member.flag_bits & FLAGGED_UTF8:
            return member.filename.encode("cp437").decode("utf-8")
    return member.filename


class _Guarded:
    """An unpacked stream that ends a bomb and notices a missing end."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path = stream, path
        self._left = self._allowed = _allowed(path)
        self._position = self._filled = 0  # bytes read; up to where they are not all zero

    def read(self, count: int) -> bytes:
        content = self._stream.read(count)
        self._left -= len(content)
        if self._left < 0:
            raise _bomb(self._path, self._allowed)
        if filled := content.rstrip(b"\0"):
            self._filled = self._position + len(filled)
        self._position += len(content)
        return content

    def finish(self, end: int) -> None:
        """Reads to the end: checksums stand there, and from `end` on a tar is zeros alone."""
        while self.read(2**20):
            pass
        if self._position - self._filled < tarfile.BLOCKSIZE:
            raise EOFError("its end is missing")
        if self._filled > end:
            raise EOFError("more stands behind its end: it is damaged, or several in one")


def _unpacked(packed: IO[bytes]) -> IO[bytes]:
    head = packed.read(6)
    packed.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(packed))
    return lzma.open(packed) if head.startswith(b"\xfd7zXZ") else packed


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever the archive readers raise on damaged bytes becomes a DataError."""
    try:
        yield
    except (
        OSError,
        EOFError,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        NotImplementedError,  # a zip method that Python does not know
        RuntimeError,  # a zip that wants a password
        UnicodeError,  # a name that is not the UTF-8 it says it is
    ) as error:
        raise DataError(
            "the archive cannot be read: cut short, damaged or not permitted",
            seen=f"{path}: {error}",
            allowed=KINDS,
            next="copy or download it again",
        ) from error


def _stamp(path: Path) -> str:
    facts = path.stat()
    return f"{facts.st_size} {facts.st_mtime_ns}"


def _allowed(path: Path) -> int:
    return max(ALWAYS_ALLOWED, RATIO * path.stat().st_size)


def _checked_name(path: Path, name: str) -> str:
    plain = name.replace("\\", "/")
    if plain.startswith("/") or re.match("[A-Za-z]:", plain) or ".." in plain.split("/"):
        raise _hostile(path, f"the path {name!r}")
    return "/".join(part for part in plain.split("/") if part not in ("", "."))


def _check_size(path: Path, name: str, size: int) -> None:
    if size > LARGEST_FILE:
        raise DataError(
            "a file in the archive is too large for an image",
            seen=f"{path}: {name} ({size / 2**20:,.0f} MiB)",
            allowed=f"up to {LARGEST_FILE / 2**20:,.0f} MiB each",
            next="pack the images alone",
        )


def _twice(path: Path, name: str) -> DataError:
    return DataError(
        "the archive holds a file twice: which of the two is meant?",
        seen=f"{path}: {name}",
        next="pack the images anew",
    )


def _hostile(path: Path, seen: str) -> DataError:
    return DataError(
        "the archive holds what no image set needs; nothing of it was read",
        seen=f"{path}: {seen}",
        allowed="plain files and folders, with paths that stay inside the archive",
        next="do not trust this archive; pack the images anew if they are yours",
    )


def _bomb(path: Path, allowed: int) -> DataError:
    return DataError(
        "the archive unpacks to absurdly much",
        seen=f"{path}: {path.stat().st_size:,} bytes packed, over {allowed:,} unpacked",
        allowed=f"{RATIO} times its size, or {ALWAYS_ALLOWED / 2**30:.0f} GiB",
        next="unpack it yourself if you trust it, and give the folder",
    )
