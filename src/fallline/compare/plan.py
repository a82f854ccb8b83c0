"""What a comparison set out to do, written before its first training: the content of plan.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["steps", "epochs", "seconds", "gradients"]


@dataclass(frozen=True)
class Budget:
    """How long each training may be; its schedule comes to its end there.

    `seconds` are of the training clock, `gradients` are forward-backward passes over a batch.
    """

    amount: float
    unit: Unit


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


@dataclass(frozen=True)
class Contestant:
    """An optimizer, what is searched for it, and what a step of it costs.

    Attributes:
        optimizer: its row's name.
        space: the declared search space.
        gradients_per_step: forward-backward passes of one step.
        defaults: the settings that its row leaves as they are, by dotted key.
    """

    optimizer: str
    space: tuple[Axis, ...]
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
        configs: configurations tried for each optimizer on each workload.
        budget: of every training.
        tuning_seed: the seed that every configuration is tried with.
        seeds: fresh ones, which the chosen configuration of every optimizer is repeated with.
        points_seed: scrambles the points of the unit cube that all optimizers share.
        targets: accuracies (fractions) to time the way to; empty: chosen from what was reached.
    """

    name: str
    command: str
    base: str
    settings: Mapping[str, Any]
    data: str
    workloads: tuple[str, ...]
    contestants: tuple[Contestant, ...]
    configs: int
    budget: Budget
    tuning_seed: int
    seeds: tuple[int, ...]
    points_seed: int = 0
    targets: tuple[float, ...] = ()
