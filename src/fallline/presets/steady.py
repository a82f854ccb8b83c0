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
    """What `fallline train` does by default on any image set: robust rather than tuned.

    On the JPEG copy of CIFAR-10, 45,000 images trained on, 5,000 held out, test split, n = 5:
    85.17 % (deviation 0.18, lowest 84.85), with six views averaged 86.93 %, 11 epochs in 89 s of
    training. 2 cores of an Intel Xeon (AMX, shared), torch 2.15, 2026-11-27.
    On scikit-learn's digits 98.9 % in 12 s, n = 1.

    fallline train --data cifar10_jpeg.tar.xz
    """
    return RunConfig(
        data=DataConfig(augment=AugmentConfig(flip="auto", shift=None)),
        model=ModelConfig(name="convnet"),
        optim=OptimConfig.model_validate({"name": "muon", "lr": 0.12, "rest_lr": 0.01}),
        schedule=ScheduleConfig(name="linear", warmup=0.05),
        train=TrainConfig(label_smoothing=0.1),
    )
