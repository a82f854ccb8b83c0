"""What the search for a good configuration says: how much of it each optimizer needs; where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BestOf:
    """Validation accuracy to expect of the best of `k` configurations, with a bootstrap band."""

    k: int
    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Sensitivity:
    """How much the learning rate matters.

    Attributes:
        key: the setting, `optim.lr`.
        points: (learning rate, validation accuracy; None where the training came to none).
        within: number of configurations within 1 point of the best.
        share: of all configurations, failed ones included.
    """

    key: str
    points: tuple[tuple[float, float | None], ...]
    within: int
    share: float


@dataclass(frozen=True)
class Edge:
    """The chosen configuration lies on the edge of its space: a better one may lie beyond.

    `end` says which: the outer tenth of a range, or the first or last number of a choice.
    """

    key: str
    value: Any
    end: str
    space: str
