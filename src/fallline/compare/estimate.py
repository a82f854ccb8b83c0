"""A mean over seeds, and how well it is known.

With three to five seeds a percentile bootstrap of the mean covers it in 75 to 85 % of cases where
it says 95; Student's interval keeps its word (tests/compare/test_coverage.py measures both).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
LEVEL: Final = 1 - CONFIDENCE  # of a test
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean with Student's 95 % interval.

    Attributes:
        mean: of the values.
        n: how many there are.
        deviation: of one value (not of the mean), n - 1 in its denominator; None for one value.
        low, high: the interval of the mean; None for one value, which has none.
    """

    mean: float
    n: int
    deviation: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def half(self) -> float | None:
        """Half the width of the interval."""
        return None if self.high is None else self.high - self.mean


def estimate(values: Sequence[float], *, resolution: float = 0.0) -> Estimate:
    """The mean of one or more values with its interval.

    Args:
        values: one for each seed.
        resolution: the smallest step between two values: an accuracy counts whole images. Values
            that are equal to the last image are known no better than that.
    """
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2:
        return Estimate(float(sample[0]), 1)
    mean, half = interval(sample, resolution=resolution)
    return Estimate(
        mean=float(mean),
        n=len(sample),
        deviation=float(sample.std(ddof=1)),
        low=float(mean - half),
        high=float(mean + half),
    )


def interval(sample: Array, *, resolution: float = 0.0) -> tuple[Array, Array]:
    """Means `(...)` of samples `(..., n)`, n >= 2, and half the widths of their intervals."""
    n = sample.shape[-1]
    error = np.sqrt((sample.var(axis=-1, ddof=1) + rounding(resolution)) / n)
    return sample.mean(axis=-1), quantile(n - 1) * error


def quantile(freedom: int) -> float:
    """Student's, two-sided at 95 %."""
    from scipy.special import stdtrit  # here and below: scipy takes a while to load

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def rounding(resolution: float) -> float:
    """The variance that rounding to multiples of `resolution` adds to a value."""
    return resolution**2 / 12
