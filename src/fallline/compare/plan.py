"""What a comparison set out to do, written before its first training: the content of plan.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

Unit = Literal["steps", "epochs", "seconds", "gradients"]


@dataclass(frozen=True)
class Budget:
    """How long each training may be; its schedule comes to its end there.

    `seconds` are of the training clock, `gradients` are forward-backward passes over a batch.
    """

    amount: float
    unit: Unit

    def __str__(self) -> str:
        unit = "seconds of training" if self.unit == "seconds" else self.unit
        return f"{self.amount:,g} {unit[:-1] if self.amount == 1 and unit[-1] == 's' else unit}"


@dataclass(frozen=True)
class Axis:
    """One dimension of a declared search space.

    Attributes:
        key: the setting, dotted: `optim.lr`.
        kind: `uniform` and `log` run from `low` to `high`; a `choice` is one of `values`.
    """

    key: str
    kind: Literal["uniform", "log", "choice"]
    low: float | None = None
    high: float | None = None
    values: tuple[Any, ...] = ()

    @property
    def words(self) -> str:
        """What it runs over, as a person reads it."""
        if self.kind == "choice":
            return "one of " + ", ".join(map(str, self.values))
        return f"{self.low:g} to {self.high:g}" + (", by logarithm" if self.kind == "log" else "")

    def position(self, value: float) -> float:
        """Where a value of a range lies: 0 at its low end, 1 at its high one."""
        assert self.low is not None
        assert self.high is not None
        if self.kind == "log":
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Contestant:
    """An optimizer, what is tried for it, and what a step of it costs.

    Attributes:
        optimizer: its row's name.
        space: the declared search space.
        configurations: the searched settings of each configuration, by dotted key.
        gradients_per_step: forward-backward passes of one step.
        defaults: the settings of its row that are not searched, by dotted key.
    """

    optimizer: str
    space: tuple[Axis, ...]
    configurations: tuple[Mapping[str, Any], ...]
    gradients_per_step: float
    defaults: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """The whole declaration.

    Attributes:
        name: the comparison's.
        command: what repeats it.
        base: the preset that everything else is laid over.
        settings: what the user laid over the base, by dotted key.
        data: name or path of the image set.
        workloads: the models, by name.
        contestants: the optimizers.
        budget: of every training.
        tuning_seed: the seed that every configuration is tried with.
        seeds: fresh ones, which the chosen configuration of every optimizer is repeated with.
        points_seed: scrambles the points of the unit cube that all optimizers share.
        targets: accuracies (fractions) to time the way to; empty: chosen from what was reached.
        base_settings: what the base sets, by dotted key: presets change, comparisons stay.
        looks: numbers of seeds that results were seen with before more were added.
        joined: optimizers that were added after a look at the results of the others.
    """

    name: str
    command: str
    base: str
    settings: Mapping[str, Any]
    data: str
    workloads: tuple[str, ...]
    contestants: tuple[Contestant, ...]
    budget: Budget
    tuning_seed: int
    seeds: tuple[int, ...]
    points_seed: int = 0
    targets: tuple[float, ...] = ()
    base_settings: Mapping[str, Any] = field(default_factory=dict)
    looks: tuple[int, ...] = ()
    joined: tuple[str, ...] = ()

    @property
    def configs(self) -> int:
        """Configurations tried for each optimizer on each workload."""
        return max((len(c.configurations) for c in self.contestants), default=0)

    @property
    def trainings(self) -> int:
        """How many trainings are ranked by: all configurations and all repeats."""
        return len(self.workloads) * len(self.contestants) * (self.configs + len(self.seeds))

    def to_json(self) -> str:
        """The text of plan.json."""
        return _ADAPTER.dump_json(self, indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """Reads plan.json. Raises ValueError for what is none."""
        return _ADAPTER.validate_json(text)


_ADAPTER: TypeAdapter[Plan] = TypeAdapter(Plan)
