"""What every source of images ends as: pixels, labels, class names, and the rows of each split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Some of the images of a set, e.g. those to train on.

    Attributes:
        images: uint8 (M, H, W, C), usually a read-only memory-mapped file that all splits share.
        labels: int64 (M,), the class of each of the M images.
        rows: int64 (N,), ascending: which of the M images belong to this split.
    """

    images: Pixels
    labels: Index
    rows: Index

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Split: {len(self):,} of {len(self.labels):,} images>"

    @property
    def targets(self) -> Index:
        """The labels of this split alone, int64 (N,)."""
        targets: Index = self.labels[self.rows]
        return targets

    def subset(self, rows: NDArray[Any]) -> Split:
        """The split of the same images that has these rows (of the M), in ascending order."""
        return Split(self.images, self.labels, np.sort(rows).astype(np.int64))


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images in classes, decoded and of one size.

    Attributes:
        name: the row of the table, or the folder's or archive's name.
        classes: the name of class i.
        train, val, test: the splits; val and test are None where the source has none.
        mean, std: per channel, of the train images scaled to 0..1.
        fingerprint: sha256 of pixels, labels, splits and class names: equal fingerprints mean
            equal data, on any machine.
        mirror: whether a left-right flip keeps the meaning (of a digit it does not).
        notes: sentences to tell the user and keep with the run: skipped files, resizing.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split | None
    test: Split | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    mirror: bool
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image, the order models take."""
        _, height, width, channels = self.train.images.shape
        return channels, height, width


Progress = Callable[[str, int, int], None]
"""Told how far a long piece of work has come: what is going on, how much of it is done, and how
much it is in all (any unit; 0: not known). May be called often, returns at once."""


def silent(what: str, done: int, total: int) -> None:
    """The Progress that tells nobody."""
