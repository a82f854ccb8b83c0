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
    85.30 % (deviation 0.16, lowest 85.10), with six views averaged 87.06 %, 11 epochs in 100 s of
    training (91 to 105). 2 cores of an AMD EPYC (Zen 4), torch 2.15, 2026-11-28. With trained stem
    biases 85.17 % in 89 s on 2 of an Intel Xeon (AMX).
    On scikit-learn's digits 99.7 % in 12 s, n = 1.

    fallline train --data cifar10_jpeg.tar.xz
    """
    return RunConfig(
        data=DataConfig(augment=AugmentConfig(flip="auto", shift=None)),
        model=ModelConfig(name="convnet"),
        optim=OptimConfig.model_validate({"name": "muon", "lr": 0.12, "rest_lr": 0.01}),
        schedule=ScheduleConfig(name="linear", warmup=0.05),
        train=TrainConfig(label_smoothing=0.1),
    )
