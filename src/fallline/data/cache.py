"""The file an image set is kept in: pixels to map into memory, and a checksum over every byte.

    0       first page: magic, where the trailer is, checksums of both
    4096    the pixels, uint8 (M, H, W, C)
    ...     trailer: a line of JSON, then labels int64 (M,) and splits uint8 (M,)

Every block of pixels has a CRC-32, which finds any single flipped bit. zlib's runs at some
4 GB/s, so a file of up to 2 GiB is read through whenever it is opened (CIFAR-10: 0.05 s). A larger
one is read through when its time of modification is not the one it was given when it was written,
and by `fallline data check`. No file here holds code or pickles.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from fallline.data.imageset import ImageSet, Index, Pixels, Split
from fallline.storage import atomic_writer

MAGIC = b"fallline"
VERSION = 2  # of this layout and of how images are decoded: a change makes files anew
PAGE = 4096
BLOCK = 4 * 2**20
ALWAYS_READ_THROUGH = 2 * 2**30  # bytes
SPLITS = ("train", "val", "test")
_HEAD = struct.Struct("<8sIQQI")  # magic, version, trailer's offset, length and CRC-32


class Unusable(Exception):
    """A cache file that has to be made again, with the reason. Never leaves this layer."""


class Stale(Unusable):
    """A cache file that was right once."""


@dataclass(frozen=True)
class Contents:
    """Everything of an image set but its pixels.

    Attributes:
        classes: the name of class i.
        labels: int64 (M,).
        splits: uint8 (M,), an index into `SPLITS`.
        mirror: whether a left-right flip keeps the meaning.
        notes: what to tell the user whenever the set is used.
    """

    classes: tuple[str, ...]
    labels: Index
    splits: Pixels
    mirror: bool
    notes: tuple[str, ...] = ()


class PixelWriter:
    """Takes pixels in a stream and sums them up; `restart` forgets what it took."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.restart()

    def restart(self) -> None:
        """Goes back to an empty file, for images of another size."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(bytes(PAGE))
        self._image: tuple[int, ...] = ()
        self._count = self._in_block = self._crc = 0
        self._blocks: list[int] = []
        self._sha = hashlib.sha256()

    def append(self, pixels: Pixels) -> None:
        """Adds images, uint8 (n, H, W, C), all of one size."""
        if not len(pixels):
            return
        self._image = self._image or pixels.shape[1:]
        if pixels.shape[1:] != self._image:
            raise ValueError(f"images of shape {pixels.shape[1:]} after {self._image}")
        self._count += len(pixels)
        content = np.ascontiguousarray(pixels).data.cast("B")
        self._file.write(content)
        self._sha.update(content)
        while content:
            part = content[: BLOCK - self._in_block]
            self._crc = zlib.crc32(part, self._crc)
            self._in_block += len(part)
            content = content[len(part) :]
            if self._in_block == BLOCK:
                self._end_block()

    def _end_block(self) -> None:
        self._blocks.append(self._crc)
        self._crc = self._in_block = 0

    def finish(self, contents: Contents, about: dict[str, Any]) -> None:
        """Writes what stands behind and before the pixels."""
        if self._in_block:
            self._end_block()
        shape = (self._count, *self._image)
        text = json.dumps(about | self._describe(contents, shape))
        trailer = text.encode() + b"\n" + contents.labels.tobytes() + contents.splits.tobytes()
        offset = PAGE + int(np.prod(shape))
        self._file.write(trailer)
        self._file.seek(0)
        self._file.write(_first_page(offset, trailer))

    def _describe(self, contents: Contents, shape: tuple[int, ...]) -> dict[str, Any]:
        mean, std = self._moments(shape, np.flatnonzero(contents.splits == 0))
        told = json.dumps([shape, contents.classes]).encode()
        for part in (told, contents.labels.tobytes(), contents.splits.tobytes()):
            self._sha.update(part)
        return {
            "shape": shape,
            "classes": contents.classes,
            "mirror": contents.mirror,
            "notes": contents.notes,
            "mean": mean,
            "std": std,
            "fingerprint": self._sha.hexdigest(),
            "crc32": self._blocks,
        }

    def _moments(self, shape: tuple[int, ...], rows: Index) -> tuple[list[float], list[float]]:
        """Mean and deviation per channel, exact: from the counts of the 256 values."""
        self._file.flush()
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            images = np.frombuffer(mapped, np.uint8, int(np.prod(shape)), PAGE).reshape(shape)
            counts = _count_values(images, rows)
            del images  # a mapping that is still looked at cannot be closed
        values, total = np.arange(256) / 255, counts.sum(1)
        mean = counts @ values / total
        deviation = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 0))
        return mean.tolist(), deviation.tolist()


def _count_values(images: Pixels, rows: Index) -> Index:
    """How often each value occurs in each channel, int64 (C, 256)."""
    channels = images.shape[3]
    counts = np.zeros((channels, 256), np.int64)
    at_once = max(1, BLOCK // images[0].size)
    for start in range(0, len(rows), at_once):
        block = images[rows[start : start + at_once]].reshape(-1, channels)
        for channel in range(channels):
            counts[channel] += np.bincount(block[:, channel], minlength=256)
    return counts


def _first_page(offset: int, trailer: bytes) -> bytes:
    head = _HEAD.pack(MAGIC, VERSION, offset, len(trailer), zlib.crc32(trailer))
    page = head.ljust(PAGE - 4, b"\0")
    return page + struct.pack("<I", zlib.crc32(page))


def write_set(path: Path, about: dict[str, Any], fill: Callable[[PixelWriter], Contents]) -> None:
    """Makes the file under `path`, whole or not at all.

    Args:
        path: where.
        about: `name`, `source` and `stamp` (what the source looked like) of the set.
        fill: gives the writer its pixels and returns the rest.

    Raises:
        StorageError: it cannot be written. Whatever `fill` raises passes through.
    """
    written = time.time_ns()
    with atomic_writer(path) as file:
        writer = PixelWriter(file)
        writer.finish(fill(writer), about | {"written": written})
    os.utime(path, ns=(written, written))


def open_set(path: Path, stamp: str | None = None, *, thorough: bool = False) -> ImageSet:
    """The image set in a cache file, its pixels mapped into memory and not yet read by the caller.

    Args:
        path: the file.
        stamp: what the source looks like now; None: whatever it is.
        thorough: read a large file through as well.

    Raises:
        FileNotFoundError: there is none.
        Unusable: it is damaged, of another version, or its source has changed.
    """
    with path.open("rb") as file:
        about, labels, splits = _read_trailer(file)
        if stamp is not None and about["stamp"] != stamp:
            raise Stale(f"the source has changed: {about['source']}")
        images: Pixels = np.memmap(file, np.uint8, "r", PAGE, tuple(about["shape"]))
        touched = os.fstat(file.fileno()).st_mtime_ns != about["written"]
    if thorough or touched or images.size <= ALWAYS_READ_THROUGH:
        _check_pixels(images, about["crc32"])
    parts = [Split(images, labels, np.flatnonzero(splits == i)) for i in range(len(SPLITS))]
    train, val, test = (part if len(part) else None for part in parts)
    if train is None:
        raise Unusable("it holds no training images")
    return ImageSet(
        name=about["name"],
        classes=tuple(about["classes"]),
        train=train,
        val=val,
        test=test,
        mean=tuple(about["mean"]),
        std=tuple(about["std"]),
        fingerprint=about["fingerprint"],
        mirror=about["mirror"],
        notes=tuple(about["notes"]),
    )


def describe(path: Path) -> dict[str, Any]:
    """The JSON of a cache file (name, source, shape, ...); raises as `open_set` does."""
    with path.open("rb") as file:
        return _read_trailer(file)[0]


def _read_trailer(file: IO[bytes]) -> tuple[dict[str, Any], Index, Pixels]:
    offset, length, crc = _read_head(file.read(PAGE))
    if os.fstat(file.fileno()).st_size != offset + length:
        raise Unusable("it is too short or too long")
    file.seek(offset)
    trailer = file.read(length)
    if zlib.crc32(trailer) != crc:
        raise Unusable("its labels or its description are damaged")
    text, _, arrays = trailer.partition(b"\n")
    about: dict[str, Any] = json.loads(text)
    count = about["shape"][0]
    labels = np.frombuffer(arrays, np.int64, count)
    splits = np.frombuffer(arrays, np.uint8, count, offset=labels.nbytes)
    return about, labels, splits


def _read_head(page: bytes) -> tuple[int, int, int]:
    if len(page) < PAGE:
        raise Unusable("it is cut short")
    if zlib.crc32(page[:-4]) != struct.unpack("<I", page[-4:])[0]:
        raise Unusable("its first page is damaged")
    magic, version, offset, length, crc = _HEAD.unpack_from(page)
    if magic != MAGIC or version != VERSION:
        raise Stale("another version of Fallline made the cache file")
    return offset, length, crc


def _check_pixels(images: Pixels, blocks: list[int]) -> None:
    content = images.reshape(-1).data
    for index, crc in enumerate(blocks):
        if zlib.crc32(content[index * BLOCK : (index + 1) * BLOCK]) != crc:
            raise Unusable(f"pixels in its block {index + 1} of {len(blocks)} are damaged")
