"""Every preset. One is a function of no arguments that returns a complete config.

Its docstring is its record: what it is for, source, command, expected accuracy with spread and n,
time and hardware. Adding one: a function here, a row in PRESETS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fallline.config import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
)
from fallline.registry import Table


@dataclass(frozen=True)
class Preset:
    """A row: `build` returns the config; the first line of its docstring is the summary."""

    name: str
    build: Callable[[], RunConfig]

    @property
    def summary(self) -> str:
        """One line for `fallline list presets`."""
        return (self.build.__doc__ or "").splitlines()[0]


def steady() -> RunConfig:
    """What `fallline train` does by default on any image set: robust rather than tuned."""
    return RunConfig(
        data=DataConfig(augment=AugmentConfig(flip="auto", shift=None)),
        model=ModelConfig(name="convnet"),
        optim=OptimConfig.model_validate({"name": "muon", "lr": 0.12, "rest_lr": 0.01}),
        schedule=ScheduleConfig(name="linear", warmup=0.05),
        train=TrainConfig(label_smoothing=0.1),
    )


PRESETS = Table("preset", [Preset("steady", steady)])
