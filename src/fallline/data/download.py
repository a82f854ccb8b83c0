"""Fetching published files: addresses and checksums are torchvision's, the transfer is ours.

torchvision's own has no time limit, unpacks the archive and unpickles it.
"""

from __future__ import annotations

import hashlib
import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from fallline.data.imageset import Progress
from fallline.data.table import DataRow
from fallline.errors import DataUnavailable
from fallline.storage import atomic_writer, cache_folder

CONNECT_SECONDS = 10  # to find the address and hear the first word
SILENCE_SECONDS = 8  # without a byte
ABANDONED_SECONDS = 60  # without a byte: whoever wrote such a file was killed
PIECE = 256 * 2**10  # bytes
T = TypeVar("T")


def downloads_folder(row: DataRow) -> Path:
    """Where the published files of a row lie; they may be put there by hand."""
    return cache_folder() / "downloads" / row.name


def is_fetched(row: DataRow) -> bool:
    """Whether all files of a row are there (their checksums are looked at when they are read)."""
    return all((downloads_folder(row) / file).is_file() for file in row.files)


def fetch(row: DataRow, progress: Progress) -> list[Path]:
    """The files of a row, in its order, with right checksums; downloads those that are not there.

    Raises:
        DataUnavailable: no address of a file answers, or none with the right content.
        StorageError: there is no room for them.
    """
    return [
        _one(row, downloads_folder(row) / name, urls, md5, progress)
        for name, urls, md5 in _published(row)
    ]


def _published(row: DataRow) -> list[tuple[str, list[str], str]]:
    """(file name, addresses, MD5) of each file, as torchvision knows them."""
    import torchvision.datasets

    known = getattr(torchvision.datasets, row.torchvision)
    if hasattr(known, "tgz_md5"):
        return [(known.filename, [known.url], known.tgz_md5)]
    return [
        (name, [mirror + name for mirror in known.mirrors], md5) for name, md5 in known.resources
    ]


def _one(row: DataRow, path: Path, urls: list[str], md5: str, progress: Progress) -> Path:
    if path.is_file() and _md5(path) == md5:
        return path
    _remove_abandoned(path)
    tried = [f"{path}: it is there, with another checksum"] if path.is_file() else []
    for url in urls:
        try:
            download(url, path, md5, progress)
        except _Failed as failure:
            tried.append(f"{url}: {failure}")
        else:
            return path
    raise DataUnavailable(
        f"{row.name} is not on this machine and cannot be fetched",
        seen="\n        ".join(tried),
        allowed=f"a network, or {path.name} in {path.parent}",
        next="connect and try again, or fetch the file elsewhere and put it there, or use "
        "--data digits (built in) or --data FOLDER (your own images)",
    )


def _remove_abandoned(path: Path) -> None:
    """Deletes what killed downloads left half-written; of one that goes on, bytes are newer."""
    for half in path.parent.glob(f".{path.name}.*"):
        with suppress(FileNotFoundError):  # another process has
            if time.time() - half.stat().st_mtime > ABANDONED_SECONDS:
                half.unlink()


class _Failed(Exception):
    """An address did not give the file."""


def download(url: str, path: Path, md5: str, progress: Progress) -> None:
    """Puts what `url` gives under `path`, whole and with that MD5, or nothing."""
    try:
        answer = _within(CONNECT_SECONDS, lambda: _open(url))
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise _Failed(f"{error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Failed(str(getattr(error, "reason", "") or error)) from error
    with answer, atomic_writer(path) as file:
        total = int(answer.headers.get("Content-Length") or 0)
        digest = hashlib.md5(usedforsecurity=False)
        done = 0
        while piece := _piece(answer):
            file.write(piece)
            digest.update(piece)
            done += len(piece)
            progress(f"download {path.name}", done, total)
        if not total:  # which was not told
            progress(f"download {path.name}", done, done)
        if digest.hexdigest() != md5:
            raise _Failed(f"gave {done:,} bytes with another checksum")


def _open(url: str) -> Any:
    opener = urllib.request.build_opener()  # urlopen keeps the proxies of its first call for good
    return opener.open(url, timeout=SILENCE_SECONDS)


def _piece(answer: Any) -> bytes:
    try:
        return bytes(answer.read(PIECE))
    except (OSError, http.client.HTTPException) as error:
        raise _Failed(f"broke off: {error}") from error


def _within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises; TimeoutError if it takes longer.

    A look-up of an address has no time limit of its own, so it gets a thread we need not wait for.
    """
    results: list[T] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            results.append(call())
        except Exception as error:  # passed on to the caller below
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
