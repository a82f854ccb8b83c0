"""A number with its uncertainty, and where that comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean of `n` values with its 95 % interval.

    `of` says what the interval is over: `seeds` (trainings that were repeated) or `images` (one
    training, scored on so many images: how another seed would do is not in it).
    """

    value: float
    low: float | None
    high: float | None
    n: int
    of: Literal["seeds", "images", "nothing"]

    @property
    def half(self) -> float | None:
        """Half the interval's width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def over_seeds(values: Sequence[float]) -> Estimate:
    """The mean of trainings that differ in their seed; Student's interval from two on."""
    from scipy.stats import t

    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return Estimate(mean, None, None, n, "nothing")
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * deviation / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n, "seeds")


def over_images(share: float, images: int) -> Estimate:
    """One training's share of right answers; the interval of Wilson (1927) over its images."""
    from scipy.stats import norm

    z2 = float(norm.ppf((1 + CONFIDENCE) / 2)) ** 2
    middle = (share + z2 / (2 * images)) / (1 + z2 / images)
    spread = math.sqrt(z2 * (share * (1 - share) / images + z2 / (4 * images**2)))
    half = spread / (1 + z2 / images)
    return Estimate(share, middle - half, middle + half, images, "images")


def difference(one: Sequence[float], other: Sequence[float], *, paired: bool) -> Estimate:
    """How far `one` lies above `other` in the mean, with its interval.

    Paired: value by value, same seed to same seed; else by Welch (1947). One value on a side
    gives no interval.
    """
    if paired:
        return over_seeds([a - b for a, b in zip(one, other, strict=True)])
    from scipy.stats import t

    a, b = over_seeds(one), over_seeds(other)
    gap, n = a.value - b.value, min(a.n, b.n)
    if n < 2:
        return Estimate(gap, None, None, n, "nothing")
    parts = [_variance_of_mean(one), _variance_of_mean(other)]
    total = math.fsum(parts)
    if total == 0:
        return Estimate(gap, gap, gap, n, "seeds")
    freedom = total**2 / math.fsum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (one, other), strict=True)
    )
    half = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(total)
    return Estimate(gap, gap - half, gap + half, n, "seeds")


def _variance_of_mean(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values)
