"""Measuring one thing beside another: in turn, within one call, and by the median of ratios.

Times on a shared machine drift by a factor of three; what was measured within the same half minute
can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median, quantiles
from typing import Any


def alternate(
    things: Mapping[str, Callable[[], float]], *, rounds: int, baseline: int
) -> list[dict[str, Any]]:
    """Measures each thing once a round, `rounds` times.

    A row for each: its name, the median, and median and quartiles of its ratio to the thing
    number `baseline` of the same round.
    """
    measured = [{name: thing() for name, thing in things.items()} for _ in range(rounds)]
    against = list(things)[baseline]
    return [_row(name, measured, against) for name in things]


def _row(name: str, measured: list[dict[str, float]], against: str) -> dict[str, Any]:
    ratios = [values[name] / values[against] for values in measured]
    low, _, high = quantiles(ratios, n=4)
    return {
        "name": name,
        "median": median(values[name] for values in measured),
        "ratio": median(ratios),
        "low": low,
        "high": high,
        "rounds": len(measured),
    }
