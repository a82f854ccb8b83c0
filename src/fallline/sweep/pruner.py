"""Optuna's pruners by name, with their arguments: what `pruner:` in a sweep file may say.

Steps are evaluated epochs. Left out are Optuna's nop (leave `pruner` out), and its wilcoxon, which
compares single instances of a problem where a training has epochs.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from fallline.config import Count, NonNegative, Section
from fallline.registry import Table, load

Steps = Annotated[int, Field(ge=0)]


class Median(Section):
    """Arguments of `median`."""

    n_startup_trials: Steps = 5
    n_warmup_steps: Steps = 0
    interval_steps: Count = 1
    n_min_trials: Count = 1


class Percentile(Median):
    """Arguments of `percentile`."""

    percentile: Annotated[float, Field(ge=0, le=100)]


class SuccessiveHalving(Section):
    """Arguments of `successive_halving`."""

    min_resource: Count | Literal["auto"] = "auto"
    reduction_factor: Annotated[int, Field(ge=2)] = 4
    min_early_stopping_rate: Steps = 0
    bootstrap_count: Steps = 0


class Hyperband(Section):
    """Arguments of `hyperband`, Optuna's own; W&B's rule is `early_terminate`."""

    min_resource: Count = 1
    max_resource: Count | Literal["auto"] = "auto"
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    bootstrap_count: Steps = 0


class Threshold(Section):
    """Arguments of `threshold`."""

    lower: float | None = None
    upper: float | None = None
    n_warmup_steps: Steps = 0
    interval_steps: Count = 1


class Patient(Section):
    """Arguments of `patient`."""

    patience: Steps
    min_delta: NonNegative = 0.0
    wrapped_pruner: None = None  # Optuna has no default for it


@dataclass(frozen=True)
class PrunerRow:
    """A row: the class at `target` of optuna.pruners is called with the arguments."""

    name: str
    summary: str
    target: str
    arguments: type[Section]


PRUNERS = Table(
    "pruner",
    [
        PrunerRow(
            "median",
            "ends a run whose best is below the median of earlier runs at that epoch",
            "optuna.pruners:MedianPruner",
            Median,
        ),
        PrunerRow(
            "percentile",
            "like median, at another percentile",
            "optuna.pruners:PercentilePruner",
            Percentile,
        ),
        PrunerRow(
            "successive_halving",
            "asynchronous successive halving (ASHA)",
            "optuna.pruners:SuccessiveHalvingPruner",
            SuccessiveHalving,
        ),
        PrunerRow(
            "hyperband",
            "several brackets of successive halving",
            "optuna.pruners:HyperbandPruner",
            Hyperband,
        ),
        PrunerRow(
            "threshold",
            "ends a run whose value leaves a range",
            "optuna.pruners:ThresholdPruner",
            Threshold,
        ),
        PrunerRow(
            "patient",
            "ends a run that has not improved for some epochs",
            "optuna.pruners:PatientPruner",
            Patient,
        ),
    ],
)


@dataclass(frozen=True)
class Pruner:
    """A pruner that a file chose: the name of a row, and its complete, checked arguments."""

    name: str
    arguments: dict[str, Any]

    def build(self) -> Any:
        """An optuna.pruners.BasePruner. Raises TypeError or ValueError where arguments clash."""
        with warnings.catch_warnings():  # that it is experimental, as patient is, is no news
            warnings.simplefilter("ignore", load("optuna.exceptions:ExperimentalWarning"))
            return load(PRUNERS[self.name].target)(**self.arguments)
