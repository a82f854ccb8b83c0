"""Image sets lent to other machines: a set's description, and its pixels block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from fallline.data.cache import SPLITS, VERSION, Contents, PixelWriter, Unusable, open_set
from fallline.data.imageset import ImageSet, Pixels, silent
from fallline.data.shelf import Request, obtain
from fallline.errors import DataError

BLOCK_BYTES: Final = 32 * 2**20


@dataclass(frozen=True, eq=False)
class Loan:
    """All of an image set but its pixels, as plain data.

    Attributes:
        name: what people call the set.
        contents: classes, labels and splits.
        fingerprint: the set's, which every copy is checked against.
        file: where the lender keeps it; a borrower that sees the same file needs no copy.
    """

    name: str
    contents: Contents
    fingerprint: str
    file: str


def lend(images: ImageSet) -> Loan:
    """The description of a set that `borrow` takes, there or here."""
    pixels = images.train.images
    splits = np.zeros(len(pixels), np.uint8)
    for index, name in enumerate(SPLITS):
        part = getattr(images, name)
        if part is not None:
            splits[part.rows] = index
    contents = Contents(images.classes, images.train.labels, splits, images.mirror, images.notes)
    file = str(pixels.filename) if isinstance(pixels, np.memmap) else ""
    return Loan(images.name, contents, images.fingerprint, file)


def blocks_of(images: ImageSet) -> Iterator[Pixels]:
    """The pixels of a set in order, uint8 (n, H, W, C), some 32 MiB at a time."""
    pixels = images.train.images
    at_once = max(1, BLOCK_BYTES // pixels[0].size)
    for start in range(0, len(pixels), at_once):
        yield np.ascontiguousarray(pixels[start : start + at_once])


def borrow(loan: Loan, blocks: Callable[[], Iterable[Pixels]]) -> ImageSet:
    """The lent set, from this machine's cache; only where it is not there yet, `blocks` is called.

    Of several processes one copies it and the others wait. Raises DataError if what came is not
    what was lent, and StorageError where there is no room.
    """

    def fill(pixels: PixelWriter) -> Contents:
        for block in blocks():
            pixels.append(block)
        return loan.contents

    source = f"lent by another machine ({loan.fingerprint[:12]})"
    wanted = Request(loan.name, source, loan.fingerprint, str(VERSION), fill)
    images = _same_file(loan) or obtain(wanted, silent)
    if images.fingerprint != loan.fingerprint:
        raise DataError(
            f"the images of {loan.name} arrived changed",
            seen=f"fingerprint {images.fingerprint[:12]}",
            allowed=loan.fingerprint[:12],
            next="empty the cache (FALLLINE_CACHE) of the machine that says so",
        )
    return images


def _same_file(loan: Loan) -> ImageSet | None:
    """The lender's own file, on the same machine or a disk that both see."""
    try:
        found = open_set(Path(loan.file))
    except (OSError, Unusable):
        return None
    return found if found.fingerprint == loan.fingerprint else None
