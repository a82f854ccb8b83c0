"""A declared search space: for each setting, the values that a search may try.

Each dimension maps the unit interval onto its values (`at`, its distribution's inverse CDF), so
one sampler (random, a grid, a low-discrepancy sequence) serves all of them. At 0 and 1, where a
normal distribution has no value, a dimension answers for the nearest number within. `quantile` is
the way back: of a value that many `u` lead to, the middle of them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist
from typing import Any

TINY = 2.0**-54
"""Half the step between the numbers that a random `u` of 53 bits can be."""


def _inside(u: float) -> float:
    return min(max(u, TINY), 1 - 2 * TINY)


def _cut(u: float) -> float:
    return min(max(u, 0.0), 1.0)


def _positive(**numbers: float) -> None:
    for name, number in numbers.items():
        if not (number > 0 and math.isfinite(number)):
            raise ValueError(f"needs {name} > 0, got {number:g}")


@dataclass(frozen=True)
class Constant:
    """One value, which nobody searches."""

    value: Any

    def at(self, u: float) -> Any:
        """The value, at any `u`."""
        return self.value

    def quantile(self, value: Any) -> float:
        """The middle: every `u` leads to the value."""
        return 0.5

    def __str__(self) -> str:
        return f"{self.value}"


@dataclass(frozen=True)
class Choice:
    """One of `values`, all equally likely, or with `probabilities` that sum to 1."""

    values: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a choice needs at least one value")
        if self.probabilities is None:
            return
        if len(self.probabilities) != len(self.values):
            raise ValueError(
                f"needs a probability for each value, got {len(self.probabilities)} for "
                f"{len(self.values)}"
            )
        if not math.isclose(math.fsum(self.probabilities), 1, rel_tol=1e-5):  # numpy.isclose's
            raise ValueError(
                f"needs probabilities that sum to 1, got {math.fsum(self.probabilities):g}"
            )
        if min(self.probabilities) < 0:
            raise ValueError(f"needs probabilities >= 0, got {min(self.probabilities):g}")

    def at(self, u: float) -> Any:
        """The value at `u` in [0, 1]."""
        if self.probabilities is None:
            return self.values[min(int(u * len(self.values)), len(self.values) - 1)]
        last = max(i for i, p in enumerate(self.probabilities) if p > 0)
        return self.values[min(bisect_right(list(accumulate(self.probabilities)), u), last)]

    def quantile(self, value: Any) -> float:
        """The middle of the `u` at which the first of `values` that equals `value` is."""
        place = self.values.index(value)
        if self.probabilities is None:
            return (place + 0.5) / len(self.values)
        return math.fsum(self.probabilities[:place]) + self.probabilities[place] / 2

    def __str__(self) -> str:
        if self.probabilities is None:
            return "one of " + ", ".join(map(str, self.values))
        pairs = zip(self.values, self.probabilities, strict=True)
        return "one of " + ", ".join(f"{value} ({p:.0%})" for value, p in pairs)


@dataclass(frozen=True)
class Integers:
    """Whole numbers from `low` to `high`, both included, all equally likely."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"needs low < high, got {self.low} and {self.high}")
        if self.high - self.low >= 2**53:
            raise ValueError("needs fewer than 2^53 numbers: a draw tells no more apart")

    def at(self, u: float) -> int:
        """The value at `u` in [0, 1]."""
        return min(self.high, self.low + int(u * (self.high - self.low + 1)))

    def quantile(self, value: float) -> float:
        """The middle of the `u` at which `value` is."""
        return (value - self.low + 0.5) / (self.high - self.low + 1)

    def __str__(self) -> str:
        return f"whole, {self.low} to {self.high}"


@dataclass(frozen=True)
class Uniform:
    """Real numbers from `low` to `high`, all equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"needs low < high, got {self.low:g} and {self.high:g}")

    def at(self, u: float) -> float:
        """The value at `u` in [0, 1]."""
        return min(self.high, self.low + u * (self.high - self.low))

    def quantile(self, value: float) -> float:
        """The `u` at which `value` is; 0 below all values, 1 above."""
        return _cut((value - self.low) / (self.high - self.low))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class LogUniform:
    """Positive numbers from `low` to `high`, whose logarithms are equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise ValueError(f"needs 0 < low < high, got {self.low:g} and {self.high:g}")

    def at(self, u: float) -> float:
        """The value at `u` in [0, 1]."""
        value = self.low * math.exp(u * math.log(self.high / self.low))
        return min(self.high, max(self.low, value))

    def quantile(self, value: float) -> float:
        """The `u` at which `value` is; 0 below all values, 1 above."""
        if value <= self.low:
            return 0.0
        return _cut(math.log(value / self.low) / math.log(self.high / self.low))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, by logarithm"


@dataclass(frozen=True)
class Normal:
    """Real numbers around `mu` with deviation `sigma`."""

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        _positive(sigma=self.sigma)

    def at(self, u: float) -> float:
        """The value at `u` in [0, 1]."""
        return NormalDist(self.mu, self.sigma).inv_cdf(_inside(u))

    def quantile(self, value: float) -> float:
        """The `u` at which `value` is."""
        return NormalDist(self.mu, self.sigma).cdf(value)

    def __str__(self) -> str:
        return f"normal, {self.mu:g} ± {self.sigma:g}"


@dataclass(frozen=True)
class LogNormal:
    """Positive numbers whose logarithms lie around `mu` with deviation `sigma`."""

    mu: float
    sigma: float

    def __post_init__(self) -> None:
        _positive(sigma=self.sigma)

    def at(self, u: float) -> float:
        """The value at `u` in [0, 1]; infinite where no float is large enough."""
        exponent = NormalDist(self.mu, self.sigma).inv_cdf(_inside(u))
        return math.exp(exponent) if exponent < 709.78 else math.inf

    def quantile(self, value: float) -> float:
        """The `u` at which `value` is; 0 for what is not positive."""
        return NormalDist(self.mu, self.sigma).cdf(math.log(value)) if value > 0 else 0.0

    def __str__(self) -> str:
        return f"log-normal, exp({self.mu:g} ± {self.sigma:g})"


@dataclass(frozen=True)
class Beta:
    """Numbers from 0 to 1 with the density x^(a-1) (1-x)^(b-1)."""

    a: float
    b: float

    def __post_init__(self) -> None:
        _positive(a=self.a, b=self.b)

    def at(self, u: float) -> float:
        """The value at `u` in [0, 1]."""
        from scipy.special import betaincinv  # only now: it takes a while to load

        return float(betaincinv(self.a, self.b, u))

    def quantile(self, value: float) -> float:
        """The `u` at which `value` is; 0 below all values, 1 above."""
        from scipy.special import betainc  # only now: it takes a while to load

        return float(betainc(self.a, self.b, _cut(value)))

    def __str__(self) -> str:
        return f"beta, a = {self.a:g}, b = {self.b:g}"


@dataclass(frozen=True)
class Rounded:
    """What `inner` gives, rounded to the nearest multiple of `q`; that may lie past its ends."""

    inner: Uniform | LogUniform | Normal | LogNormal | Beta
    q: float

    def __post_init__(self) -> None:
        _positive(q=self.q)

    def at(self, u: float) -> float:
        """The value at `u` in [0, 1]; whole where `q` is an int."""
        ratio = self.inner.at(u) / self.q
        return round(ratio) * self.q if math.isfinite(ratio) else ratio

    def quantile(self, value: float) -> float:
        """The middle of the `u` that are rounded to `value`."""
        half = self.q / 2
        return (self.inner.quantile(value - half) + self.inner.quantile(value + half)) / 2

    def __str__(self) -> str:
        return f"{self.inner}, in steps of {self.q:g}"


Dimension = (
    Constant | Choice | Integers | Uniform | LogUniform | Normal | LogNormal | Beta | Rounded
)
Space = Mapping[str, Dimension]
