"""The default: robust rather than tuned, for images of any kind."""

from __future__ import annotations

from fallline.config import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
)


def steady() -> RunConfig:
    """What `fallline train` does by default on any image set: robust rather than tuned."""
    return RunConfig(
        data=DataConfig(augment=AugmentConfig(flip="auto", shift=None)),
        model=ModelConfig(name="convnet"),
        optim=OptimConfig.model_validate({"name": "muon", "lr": 0.12, "rest_lr": 0.01}),
        schedule=ScheduleConfig(name="linear", warmup=0.05),
        train=TrainConfig(label_smoothing=0.1),
    )
