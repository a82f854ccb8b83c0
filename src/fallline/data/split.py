"""Holding images out of a split: stratified, seeded, exact in number."""

from __future__ import annotations

import numpy as np

from fallline.data.imageset import Index, Split
from fallline.errors import ConfigError, Fault

LARGEST_DEFAULT = 5_000  # images; a tenth of CIFAR-10's 50,000


def hold_out(split: Split, amount: int | float | None, seed: int) -> tuple[Split, Split]:
    """Divides a split in two, the classes in equal proportion in both.

    Args:
        split: what to divide.
        amount: how many images the second part gets: a count, a fraction of the split (a float
            between 0 and 1), or None for a tenth but at most 5,000.
        seed: which images; the same seed always chooses the same ones.

    Returns:
        (what is left, what was held out); each has at least one image of every class.

    Raises:
        ConfigError: the amount leaves one of the parts without an image of some class.
    """
    _, kinds, counts = np.unique(split.targets, return_inverse=True, return_counts=True)
    wanted = _wanted(len(split), amount, len(counts))
    _check(wanted, amount, counts)
    held = _rank_in_class(kinds, counts, seed) < _quotas(counts, wanted)[kinds]
    return split.subset(split.rows[~held]), split.subset(split.rows[held])


def _wanted(images: int, amount: int | float | None, classes: int) -> int:
    if amount is None:
        return max(min(LARGEST_DEFAULT, images // 10), classes)
    return round(amount * images) if isinstance(amount, float) else amount


def _check(wanted: int, amount: int | float | None, counts: Index) -> None:
    least, most = len(counts), int(counts.sum()) - len(counts)
    if counts.min() < 2:
        raise ConfigError(
            Fault(
                "no validation images can be held out: a class has a single image",
                seen=f"{int((counts < 2).sum())} of {len(counts)} classes with one image",
                allowed="at least 2 images of every class",
                next="add images, or a val folder beside train",
            )
        )
    if not least <= wanted <= most:
        raise ConfigError(
            Fault(
                "data.holdout cannot be held out of the training images",
                seen=f"{amount} ({wanted} images)",
                allowed=f"{least} to {most} images: at least one of each of the {least} classes "
                "on both sides",
                next="set data.holdout within that range, or leave it out",
            )
        )


def _quotas(counts: Index, wanted: int) -> Index:
    """How many of each class, int64 (classes,): proportional, exact in sum, 1 to count - 1."""
    ideal = counts * (wanted / counts.sum())
    quotas: Index = np.clip(np.floor(ideal), 1, counts - 1).astype(np.int64)
    while (missing := wanted - int(quotas.sum())) != 0:
        step = 1 if missing > 0 else -1
        open_to_change = (quotas < counts - 1) if step > 0 else (quotas > 1)
        gain = np.where(open_to_change, step * (ideal - quotas), -np.inf)
        quotas[np.argmax(gain)] += step
    return quotas


def _rank_in_class(kinds: Index, counts: Index, seed: int) -> Index:
    """The place of each image in a random order of its class, int64 (N,)."""
    order = np.lexsort((np.random.default_rng(seed).random(len(kinds)), kinds))
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.empty(len(kinds), np.int64)
    rank[order] = np.arange(len(kinds)) - starts
    return rank
