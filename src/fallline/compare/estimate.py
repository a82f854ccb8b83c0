"""A mean over seeds, and how well it is known."""

from __future__ import annotations

from dataclasses import dataclass


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
