"""From a source of files to pixels, labels and notes.

What size the images have, and whether all are grey, is guessed from the first; when another
refutes it, they are read once more. So no archive has to be read just to look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fallline.data.cache import Contents, PixelWriter
from fallline.data.decode import (
    ACCEPTED,
    CONVERT,
    DEFAULT_SIZE,
    LARGEST,
    SMALLEST,
    File,
    Plan,
    Refuted,
    Wish,
    fixed,
    guess,
)
from fallline.data.folder import Entry, Source
from fallline.data.imageset import Index, Pixels, Progress
from fallline.data.layout import Layout, arrange, check_filled
from fallline.data.workers import decode_all
from fallline.errors import DataError

FILES_AT_ONCE = 64
BYTES_AT_ONCE = 16 * 2**20
BAD_ALLOWED = 0.01  # of the files in class folders, or one
NAMED = 10  # files in a message
SHOWING = 2**16  # bytes
_CIFAR10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


@dataclass
class _Pass:
    """What reading the source showed: file names in order, and which are no images, and why."""

    plan: Plan
    names: list[str] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)
    see_through: int = 0


def filler(
    source: Source, name: str, wish: Wish, progress: Progress
) -> Callable[[PixelWriter], Contents]:
    """What fills a `PixelWriter` from a source; raises DataError when the source is no good."""

    def fill(pixels: PixelWriter) -> Contents:
        skip = _strays(source.listing(), source)
        while True:
            read = _read(source, name, wish, skip, pixels, progress)
            layout = arrange(read.names, source.folders, str(source.path))
            outside = _images_outside(read, layout)
            if not outside:
                return _contents(source, read, layout, wish, skip)
            skip |= outside  # their size must not decide that of the others

    return fill


def _strays(names: list[str] | None, source: Source) -> set[str]:
    if names is None:
        return set()
    layout = arrange(names, source.folders, str(source.path))
    return {name for name, label in zip(names, layout.labels, strict=True) if label < 0}


def _images_outside(read: _Pass, layout: Layout) -> set[str]:
    outside = np.flatnonzero(layout.labels < 0).tolist()
    return {read.names[index] for index in outside if index not in read.faults}


def _read(
    source: Source,
    name: str,
    wish: Wish,
    skip: set[str],
    pixels: PixelWriter,
    progress: Progress,
) -> _Pass:
    plan: Plan | None = None
    while True:
        pixels.restart()
        chunks = _chunks(source.files(skip))
        held: list[list[Entry]] = []
        while plan is None and (entries := next(chunks, None)):
            plan = guess([entry.content for entry in entries], wish)
            held.append(entries if plan else [_beginning(entry) for entry in entries])
        read = _Pass(plan or fixed(wish))
        try:
            for _ in _decode(chain(held, chunks), read, pixels):
                handed_out = min(source.done, source.total - 1)  # the last ones are on their way
                progress(f"decode {name}", handed_out, source.total)
        except Refuted as refuted:
            plan = refuted.better
        else:
            progress(f"decode {name}", source.total, source.total)
            return read


def _beginning(entry: Entry) -> Entry:
    """A file that is no image with as much of it as shows why: the rest is not held in memory."""
    content = entry.content
    return replace(entry, content=content[:SHOWING]) if isinstance(content, bytes) else entry


def _chunks(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    chunk: list[Entry] = []
    weight = 0
    for entry in entries:
        chunk.append(entry)
        weight += len(entry.content) if isinstance(entry.content, bytes) else 0
        if len(chunk) == FILES_AT_ONCE or weight > BYTES_AT_ONCE:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk


def _decode(chunks: Iterator[list[Entry]], read: _Pass, pixels: PixelWriter) -> Iterator[None]:
    def contents() -> Iterator[list[File]]:
        for entries in chunks:
            read.names.extend(entry.name for entry in entries)
            yield [entry.content for entry in entries]

    done = 0
    for chunk in decode_all(contents(), read.plan):
        pixels.append(chunk.pixels)
        read.faults |= {done + index: why for index, why in chunk.faults.items()}
        read.see_through += chunk.see_through
        done += len(chunk.pixels) + len(chunk.faults)
        yield


def _contents(source: Source, read: _Pass, layout: Layout, wish: Wish, skip: set[str]) -> Contents:
    decoded = np.ones(len(read.names), bool)
    decoded[list(read.faults)] = False
    bad = {read.names[i]: why for i, why in read.faults.items() if layout.labels[i] >= 0}
    _check_bad(source, bad, int((layout.labels >= 0).sum()))
    labels, splits = layout.labels[decoded], layout.splits[decoded].astype(np.uint8)
    _check_filled(source, layout, labels, splits)
    outside = [name for name, label in zip(read.names, layout.labels, strict=True) if label < 0]
    mirror = not all(len(name) == 1 for name in layout.classes)
    notes = (
        _note_copy(read, layout),
        _note_files("no image, skipped", [f"{name} ({why})" for name, why in bad.items()]),
        _note_files("outside the class folders, passed over", sorted({*outside, *skip})),
        _note_size(read.plan, wish),
        _note_see_through(read.see_through),
        "" if mirror else "classes of one character: images are not mirrored by default",
    )
    return Contents(layout.classes, labels, splits, mirror, tuple(filter(None, notes)))


def _check_bad(source: Source, bad: dict[str, str], files: int) -> None:
    if len(bad) > 1 and len(bad) >= BAD_ALLOWED * files:
        listed = [f"{name}: {why}" for name, why in list(bad.items())[:NAMED]]
        more = [f"and {len(bad) - NAMED} more"] if len(bad) > NAMED else []
        raise DataError(
            f"{len(bad)} of {files} files in the class folders cannot be used as images",
            seen="\n        ".join([str(source.path), *listed, *more]),
            allowed=f"{ACCEPTED}; one other file, or under {BAD_ALLOWED:.0%}",
            next=f"{'convert' if _convertible(bad) else 'repair'} these files, or delete them",
        )


def _convertible(bad: dict[str, str]) -> bool:
    return any(CONVERT in why for why in bad.values())


def _check_filled(source: Source, layout: Layout, labels: Index, splits: Pixels) -> None:
    def pairs(splits: NDArray[Any], labels: Index) -> set[tuple[int, str]]:
        unique = set(zip(splits.tolist(), labels.tolist(), strict=True))
        return {(split, layout.classes[label]) for split, label in unique if label >= 0}

    expected = pairs(layout.splits, layout.labels)
    check_filled(expected, pairs(splits, labels), layout.with_splits, str(source.path))


def _note_copy(read: _Pass, layout: Layout) -> str:
    jpeg = all(name.lower().endswith((".jpg", ".jpeg")) for name in read.names)
    if not jpeg or layout.classes != _CIFAR10:
        return ""
    return "JPEG copy of CIFAR-10, lossy: accuracies run a few points under the originals'"


def _note_files(what: str, names: list[str]) -> str:
    more = ", ..." if len(names) > NAMED else ""
    files = "1 file" if len(names) == 1 else f"{len(names)} files"
    return f"{files} {what}: {', '.join(names[:NAMED])}{more}" if names else ""


def _note_size(plan: Plan, wish: Wish) -> str:
    if plan.same_size or wish.image_size is not None:
        return ""
    return (
        f"images differ in size, or are not of {SMALLEST} to {LARGEST} pixels a side: all were "
        f"resized to {DEFAULT_SIZE}x{DEFAULT_SIZE} (data.image_size sets another size)"
    )


def _note_see_through(count: int) -> str:
    images = "1 image" if count == 1 else f"{count} images"
    return f"{images} with transparent parts: shown on white" if count else ""
