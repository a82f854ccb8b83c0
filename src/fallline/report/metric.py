"""What runs are judged by: a series, which way is better, and how its values are written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fallline.report.run import Run


@dataclass(frozen=True)
class Metric:
    """A series of the records. Accuracies are fractions, written in percent.

    One that `is_ours` was measured by us; of one of somebody's script the name alone is known.
    """

    name: str = "val/accuracy"
    goal: Literal["maximize", "minimize"] = "maximize"
    is_ours: bool = True

    @classmethod
    def of_sweep(cls, plain: Mapping[str, Any], *, is_ours: bool = True) -> Metric:
        """The metric that sweep.json names; W&B's default goal is to minimize."""
        name = str(plain.get("name") or cls.name)
        default = "maximize" if "accuracy" in name else "minimize"
        goal = plain.get("goal", default)
        return cls(name, "minimize" if goal == "minimize" else "maximize", is_ours)

    @property
    def is_share(self) -> bool:
        """Whether it counts right answers; a script's accuracy may be in percent already."""
        return self.is_ours and "accuracy" in self.name

    @property
    def split(self) -> str:
        """The split it is measured on: val, test or train."""
        return self.name.split("/")[0]

    @property
    def words(self) -> str:
        """The metric as a person reads it: accuracy on val."""
        split, _, quantity = self.name.partition("/") if self.is_ours else (self.name, "", "")
        quantity = quantity.replace("_tta", " with views averaged").replace("_", " ")
        return f"{quantity} on {split}" if quantity else self.name

    @property
    def unit(self) -> str:
        """What an axis of it is written in."""
        return "%" if self.is_share else ""

    def of(self, run: Run) -> float | None:
        """The run's value: the last one measured."""
        return run.last(self.name)

    def resolution(self, run: Run) -> float:
        """The smallest step between two values: an accuracy counts whole images."""
        images = run.images_scored(self.split) if self.is_share else None
        return 1 / images if images else 0.0

    def better(self, one: float, other: float) -> bool:
        """Whether `one` beats `other`."""
        return one > other if self.goal == "maximize" else one < other

    def order(self, value: float | None) -> float:
        """A key that sorts the best first and what has no value last."""
        if value is None:
            return math.inf
        return -value if self.goal == "maximize" else value

    def drawn(self, value: float | None) -> float | None:
        """The value on an axis: percent for shares."""
        return None if value is None else self.scaled(value)

    def scaled(self, value: float) -> float:
        """A value or a difference in the unit of an axis."""
        return 100 * value if self.is_share else value
