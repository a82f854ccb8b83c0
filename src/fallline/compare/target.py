"""What it takes to reach an accuracy; what never reached it is counted, not dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fallline.compare.estimate import Estimate

Measure = Literal["steps", "seconds", "gradients"]


@dataclass(frozen=True)
class Spent:
    """What the repeats of one optimizer spent on the way, in one unit.

    Attributes:
        unit: steps, seconds of the training clock, or gradients.
        values: for each repeat, at its first evaluation at or above the target; None: missed.
        restricted: mean where a miss counts as the whole budget: never less than what was spent,
            but a lower bound of what reaching it takes (the restricted mean of survival analysis).
        median: None unless more than half of the repeats reached it.
    """

    unit: Measure
    values: tuple[float | None, ...]
    restricted: Estimate
    median: float | None


@dataclass(frozen=True)
class Attempt:
    """One optimizer on its way to one target.

    Attributes:
        target: validation accuracy, a fraction.
        reached, n: of the repeats of the chosen configuration.
        tuning_reached, tuning_n: of the configurations that were tried.
        spent: by steps, seconds and gradients; empty without repeats.
    """

    target: float
    reached: int
    n: int
    tuning_reached: int
    tuning_n: int
    spent: tuple[Spent, ...]
