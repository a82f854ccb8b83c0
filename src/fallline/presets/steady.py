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
    85.37 % (deviation 0.15, lowest 85.23), with six views averaged 87.04 %, 11 epochs in 142 s of
    training, 211 to 220 s on one core. An Intel Xeon (AMX, shared), torch 2.15, 2026-11-26.
    On scikit-learn's digits 99.2 % in 10 s, n = 1.

    fallline train --data cifar10_jpeg.tar.xz
    """
    return RunConfig(
        data=DataConfig(augment=AugmentConfig(flip="auto", shift=None)),
        model=ModelConfig(name="convnet"),
        optim=OptimConfig.model_validate({"name": "muon", "lr": 0.12, "rest_lr": 0.01}),
        schedule=ScheduleConfig(name="linear", warmup=0.05),
        train=TrainConfig(label_smoothing=0.1),
    )
