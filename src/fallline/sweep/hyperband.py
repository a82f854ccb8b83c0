"""W&B's early stopping: a run ends when it is worse than the best 1/eta at the same measurement.

The rule is that of W&B's reference (package sweeps 0.3.0, hyperband_stopping.py). It counts the
finite values of the metric that a run has logged, not its steps. Bands are counts: min_iter,
min_iter * eta, ... upwards, or max_iter / eta, max_iter / eta^2, ... s times downwards. At its
last band a run is held against the value at place n / eta of the n runs that have come as far,
in any state, itself among them. One bracket: closer to ASHA than to the paper's Hyperband.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

Goal = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Hyperband:
    """The rule, as `early_terminate` states it.

    Attributes:
        bands: counts of measurements, ascending; equal ones are one.
        eta: one run in `eta` passes a band.
        strict: a run is judged by its value at the band, else by its best so far.
    """

    bands: tuple[int, ...]
    eta: float = 3.0
    strict: bool = True

    @classmethod
    def upwards(cls, min_iter: int, eta: float = 3.0, strict: bool = True) -> Hyperband:
        """Bands from `min_iter` up; a hundred of them, as W&B's."""
        bands, band = dict[int, None](), float(min_iter)
        for _ in range(100):
            bands[int(band)] = None
            if math.isinf(band := band * eta):
                break
        return cls(tuple(bands), eta, strict)

    @classmethod
    def downwards(cls, max_iter: int, s: int, eta: float = 3.0, strict: bool = True) -> Hyperband:
        """At most `s` bands below `max_iter`. Raises ValueError if there is none."""
        bands, band = set[int](), float(max_iter)
        for _ in range(s):
            band /= eta
            bands |= {int(band)} if band >= 1 else set()
        if not bands:
            raise ValueError(f"has no band: {max_iter} / {eta:g} is less than 1")
        return cls(tuple(sorted(bands)), eta, strict)

    def below(self, count: int) -> tuple[int, ...]:
        """The bands that a run of `count` measurements comes to."""
        return self.bands[: bisect_right(self.bands, count)]


@dataclass(frozen=True)
class Stop:
    """Why a run is to be stopped: at `band`, its `value` is worse than the `threshold` of `runs`.

    Value and threshold are the metric's own numbers, whatever the goal.
    """

    band: int
    threshold: float
    value: float
    runs: int
    rule: Hyperband

    def __str__(self) -> str:
        what = f"value {self.band}" if self.rule.strict else "the best value"
        return (
            f"stopped at band {self.band}: {what} of the metric is {self.value:.6g}, and the best "
            f"1/{self.rule.eta:g} of {self.runs} runs reach {self.threshold:.6g} there"
        )


class Race:
    """All histories of a sweep, and who is to be stopped now.

    A report costs a search in the sorted values of one band; a band that nobody has reached
    costs nothing.
    """

    def __init__(self, rule: Hyperband, goal: Goal) -> None:
        self.rule = rule
        self._sign = 1.0 if goal == "minimize" else -1.0
        self._histories: dict[Hashable, list[float]] = {}  # as if to be minimized
        self._at_band: dict[int, list[float]] = {}  # sorted values of all runs that came so far

    def add(self, run: Hashable, value: float) -> None:
        """Takes the run's next value; one that is not finite does not count."""
        if not math.isfinite(value):
            return
        history = self._histories.setdefault(run, [])
        history.append(self._sign * value)
        if _holds(self.rule.bands, len(history)):
            insort(self._at_band.setdefault(len(history), []), history[-1])

    def judge(self, run: Hashable) -> Stop | None:
        """Whether the run is to be stopped, given all that was reported so far."""
        history = self._histories.get(run, [])
        reached = self.rule.below(len(history))
        if not reached:
            return None
        band = reached[-1]
        value = history[band - 1] if self.rule.strict else min(history)
        threshold = self._threshold(band)
        if value <= threshold:
            return None
        runs = len(self._at_band[band])
        return Stop(band, self._sign * threshold, self._sign * value, runs, self.rule)

    def forget(self, run: Hashable) -> None:
        """Drops the run's values: it begins anew."""
        for count, value in enumerate(self._histories.pop(run, []), 1):
            if count in self._at_band:
                values = self._at_band[count]
                del values[bisect_left(values, value)]

    def _threshold(self, band: int) -> float:
        values = self._at_band[band]
        return values[int(1.0 / self.rule.eta * len(values))]


def _holds(bands: Sequence[int], count: int) -> bool:
    place = bisect_left(bands, count)
    return place < len(bands) and bands[place] == count
