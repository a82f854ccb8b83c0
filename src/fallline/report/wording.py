"""Numbers as a reader wants them: pure functions from values to text."""

from __future__ import annotations

import math
from typing import Final

from fallline.report.estimate import Estimate
from fallline.report.metric import Metric

NOTHING: Final = "–"
THIN: Final = "\u202f"  # between a number and its unit: it does not break


def value(metric: Metric, number: float | None, digits: int = 2) -> str:
    """A value of the metric: 97.21 %, or 0.1234."""
    if number is None or not math.isfinite(number):
        return NOTHING
    return percent(number, digits) if metric.is_share else f"{number:.4g}"


def percent(share: float | None, digits: int = 2) -> str:
    """A fraction in percent."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}{THIN}%"


def interval(metric: Metric, estimate: Estimate, digits: int = 1) -> str:
    """The interval's ends: 94.9 to 98.5 %; of a share, as far as a share can go."""
    if estimate.low is None or estimate.high is None:
        return NOTHING
    if metric.is_share:
        low, high = max(0.0, estimate.low), min(1.0, estimate.high)
        return f"{100 * low:.{digits}f} to {percent(high, digits)}"
    return f"{estimate.low:.4g} to {estimate.high:.4g}"


def plus_minus(metric: Metric, estimate: Estimate | None, digits: int = 2) -> str:
    """A value and half its interval: 97.21 ± 0.43 %; one over images, which is lopsided, whole."""
    if estimate is None:
        return NOTHING
    if estimate.half is None:
        return value(metric, estimate.value, digits)
    if estimate.of == "images":
        return f"{value(metric, estimate.value, digits)} ({interval(metric, estimate, digits)})"
    if metric.is_share:
        half = f"{100 * estimate.half:.{digits}f}"
        return f"{100 * estimate.value:.{digits}f} ± {half}{THIN}%"
    return f"{estimate.value:.4g} ± {estimate.half:.2g}"


def gap(metric: Metric, number: float, digits: int = 2) -> str:
    """A difference: 0.52 points, or 0.0123."""
    if metric.is_share:
        return f"{100 * abs(number):.{digits}f} points"
    return f"{abs(number):.3g}"


def signed_gap(metric: Metric, number: float, digits: int = 2) -> str:
    """A difference that may be the other way round: one that ran fewer seeds may be ahead."""
    return ("−" if number < 0 else "") + gap(metric, number, digits)


def duration(seconds: float) -> str:
    """A time: 12.3 s, 4 min 05 s, 2 h 03 min."""
    if seconds < 120:
        return f"{seconds:.1f}{THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{THIN}min {rest:02d}{THIN}s"
    return f"{minutes // 60}{THIN}h {minutes % 60:02d}{THIN}min"


def loss(number: float) -> str:
    """A loss of one image: 3.2."""
    return f"{number:.1f}"


def number(value: float) -> str:
    """Any number in four digits."""
    return f"{value:.4g}"


def count(number: int, noun: str) -> str:
    """A number of things: 1 run, 2,048 images."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: list[str]) -> str:
    """Words in a sentence: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
