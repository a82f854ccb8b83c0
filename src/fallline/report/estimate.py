"""A number with its uncertainty, and where that comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fallline.compare import estimate as seeds
from fallline.compare.estimate import CONFIDENCE


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


def from_seeds(told: seeds.Estimate) -> Estimate:
    """An estimate of a comparison."""
    return Estimate(told.mean, told.low, told.high, told.n, "seeds" if told.n > 1 else "nothing")


def over_seeds(values: Sequence[float], *, resolution: float = 0.0) -> Estimate:
    """The mean of trainings that differ in their seed; Student's interval from two on.

    `resolution` is the smallest step between two values: an accuracy counts whole images.
    """
    return from_seeds(seeds.estimate(values, resolution=resolution))


def over_images(share: float, images: int) -> Estimate:
    """One training's share of right answers; the interval of Wilson (1927) over its images."""
    from scipy.special import ndtri

    z2 = float(ndtri((1 + CONFIDENCE) / 2)) ** 2
    middle = (share + z2 / (2 * images)) / (1 + z2 / images)
    spread = math.sqrt(z2 * (share * (1 - share) / images + z2 / (4 * images**2)))
    half = spread / (1 + z2 / images)
    return Estimate(share, middle - half, middle + half, images, "images")


def lead(
    one: Mapping[int, float], other: Mapping[int, float], *, resolution: float = 0.0
) -> Estimate | None:
    """How far `one` lies above `other`, seed against seed; values are by seed.

    Without two seeds in common there is no interval; without one, it is of the means.
    """
    shared = [seed for seed in one if seed in other]
    if shared:
        apart = [one[seed] - other[seed] for seed in shared]
        return over_seeds(apart, resolution=resolution * math.sqrt(2))  # two values are rounded
    if not one or not other:
        return None
    gap = math.fsum(one.values()) / len(one) - math.fsum(other.values()) / len(other)
    return Estimate(gap, None, None, 0, "nothing")
