"""Where one optimizer stands on one workload, with all that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fallline.compare.estimate import Estimate
from fallline.compare.evidence import Training
from fallline.compare.target import Attempt
from fallline.compare.tuning import BestOf, Edge, Sensitivity


@dataclass(frozen=True)
class Counts:
    """How many trainings ended how; `planned` is the sum."""

    planned: int
    completed: int
    diverged: int
    failed: int
    missing: int


@dataclass(frozen=True)
class Moment:
    """The repeats of the chosen configuration at one evaluation; `val` over those that got there.

    `seconds` is their mean on the training clock.
    """

    step: int
    epoch: int
    seconds: float
    gradients: float
    val: Estimate


@dataclass(frozen=True)
class Cost:
    """What was paid: seconds of the training clock, steps, gradients.

    Attributes:
        seconds, steps, gradients: of one repeat of the chosen configuration.
        milliseconds_per_step: likewise.
        tuning_seconds, tuning_gradients: of all configurations together.
    """

    seconds: Estimate
    steps: Estimate
    gradients: Estimate
    milliseconds_per_step: float
    tuning_seconds: float
    tuning_gradients: float


@dataclass(frozen=True)
class Standing:
    """One row of the ranking.

    Attributes:
        optimizer: its name.
        rank: 1 is the best mean; those without a score come last.
        score: of the workload's measure over fresh seeds; a diverged repeat scores what guessing
            would. None where nothing was chosen or repeated.
        val: validation accuracy of the same repeats.
        chance_best: probability of being the best of all (paired bootstrap).
        chance_beats_next: probability of being better than the one ranked next.
        contender: not told apart from the leader (who is one).
        chosen: number of the chosen configuration; None where none completed.
        parameters: its searched settings, by dotted key.
        trials: every configuration that was planned, by number.
        repeats: every repeat that was planned, by seed.
        tuned, repeated: counts of both.
        curve: mean and interval over the repeats, evaluation by evaluation.
        best_of: k from 1 to the number of configurations.
        sensitivity: to the learning rate; None where that is not searched.
        edges: where the chosen configuration lies on the edge of its space.
        attempts: at the workload's targets, in their order.
        cost: None without a completed repeat.
        notes: what a reader should know of this row, in words.
    """

    optimizer: str
    rank: int
    score: Estimate | None
    val: Estimate | None
    chance_best: float | None
    chance_beats_next: float | None
    contender: bool
    chosen: int | None
    parameters: Mapping[str, Any]
    trials: tuple[Training, ...]
    repeats: tuple[Training, ...]
    tuned: Counts
    repeated: Counts
    curve: tuple[Moment, ...]
    best_of: tuple[BestOf, ...]
    sensitivity: Sensitivity | None
    edges: tuple[Edge, ...]
    attempts: tuple[Attempt, ...]
    cost: Cost | None
    notes: tuple[str, ...] = ()
