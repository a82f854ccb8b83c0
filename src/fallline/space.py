"""A declared search space: for each setting, the values that a search may try.

Each dimension maps the unit interval onto its values, so one sampler (random, a grid, a
low-discrepancy sequence) serves all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Uniform:
    """Real numbers from `low` to `high`, all equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"needs low < high, got {self.low} and {self.high}")

    def at(self, u: float) -> float:
        """The value at `u` in [0, 1]."""
        return min(self.high, self.low + u * (self.high - self.low))


@dataclass(frozen=True)
class LogUniform:
    """Positive numbers from `low` to `high`, whose logarithms are equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError(f"needs 0 < low < high, got {self.low} and {self.high}")

    def at(self, u: float) -> float:
        """The value at `u` in [0, 1]."""
        value = self.low * math.exp(u * math.log(self.high / self.low))
        return min(self.high, max(self.low, value))


@dataclass(frozen=True)
class Choice:
    """One of `values`, all equally likely."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a choice needs at least one value")

    def at(self, u: float) -> Any:
        """The value at `u` in [0, 1]."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]


Dimension = Uniform | LogUniform | Choice
Space = Mapping[str, Dimension]
