"""A setting's values on an axis: linear, logarithmic, or one place per category."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from fallline.report.configuration import is_number, written

LOG_FROM: Final = 20.0  # the largest is so many times the smallest
TICKS: Final = 5
MOST_CATEGORIES: Final = 4  # numbers; that few were chosen from a list


@dataclass(frozen=True)
class Scale:
    """Places of values in 0..1. `ticks` are places with their labels."""

    kind: Literal["linear", "log", "category"]
    low: float
    high: float
    categories: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[Any]) -> Scale:
        """The scale that suits a setting's values; None among them has no place."""
        known = [value for value in values if value is not None]
        if not known or not all(map(is_number, known)):
            return cls("category", 0, 1, tuple(sorted({written(value) for value in known})))
        if len(set(known)) <= MOST_CATEGORIES:
            return cls("category", 0, 1, tuple(written(value) for value in sorted(set(known))))
        low, high = float(min(known)), float(max(known))
        kind: Literal["linear", "log"] = "log" if low > 0 and high / low >= LOG_FROM else "linear"
        return cls(kind, low, high, ())

    @classmethod
    def linear(cls, values: Sequence[float | None]) -> Scale:
        """The linear scale of a measurement."""
        known = [value for value in values if value is not None] or [0.0]
        return cls("linear", min(known), max(known), ())

    def place(self, value: Any) -> float | None:
        """Where a value stands, 0 to 1."""
        if value is None:
            return None
        if self.kind == "category":
            last = len(self.categories) - 1
            return self.categories.index(written(value)) / last if last else 0.5
        low, high, at = (self._at(v) for v in (self.low, self.high, float(value)))
        return (at - low) / (high - low) if high > low else 0.5

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Places worth a label: every category, else round numbers and both ends."""
        if self.kind == "category":
            return tuple((self.place(name) or 0.0, name) for name in self.categories)
        numbers = [self.low, self.high]
        if self.kind == "log":
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            numbers += [10.0**power for power in powers]
        elif self.high > self.low:
            step = _round_step((self.high - self.low) / TICKS)
            first = math.ceil(self.low / step)
            numbers += [step * i for i in range(first, math.floor(self.high / step) + 1)]
        placed = sorted({(self.place(number) or 0.0, written(number)) for number in numbers})
        return tuple(_apart(placed))

    def _at(self, value: float) -> float:
        return math.log(value) if self.kind == "log" else value


def _round_step(about: float) -> float:
    """1, 2 or 5 times a power of ten, not below `about`."""
    power: float = 10.0 ** math.floor(math.log10(about))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= about * 0.999)


def _apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ends, and of the others those that stand clear of what is labelled already."""
    kept = [ticks[0]] + ([ticks[-1]] if len(ticks) > 1 else [])
    for tick in ticks[1:-1]:
        if all(abs(tick[0] - other[0]) > 0.07 for other in kept):
            kept.append(tick)
    return sorted(kept)
