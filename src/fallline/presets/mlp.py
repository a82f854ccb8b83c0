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

    On the JPEG copy of CIFAR-10, test split, n = 5: 61.79 % (deviation 0.23, lowest 61.46), with
    six views averaged 63.79 %, in 13.2 s of training (12.9 to 15.9). 2 cores of an AMD EPYC
    (Zen 4), torch 2.15, 2026-11-27.

    fallline train mlp60 --data cifar10_jpeg.tar.xz
    """
    return _connected(widths=(1024, 512), epochs=4, lr=0.1)


def mlp70() -> RunConfig:
    """CIFAR-10 to 70 % without convolutions, six views of an image averaged.

    On the JPEG copy of CIFAR-10, test split, n = 5: 68.18 % (deviation 0.35, lowest 67.77), with
    six views averaged 70.53 % (deviation 0.18, lowest 70.36), in 92 s of training (80 to 108). 2
    cores of an AMD EPYC (Zen 4), short commands beside it, torch 2.15, 2026-11-27.

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
