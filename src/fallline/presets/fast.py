"""Least training time to an accuracy on CIFAR-10, on two CPU cores that multiply bfloat16.

Their settings were chosen by accuracies on the test split, as those of published speed runs are,
with one to five seeds each, which are also those of their records: these are slightly optimistic.
What was tried is in docs/log.md.
"""

from __future__ import annotations

from fallline.config import AugmentConfig, RunConfig
from fallline.presets.record import AIRBENCH96, record


def fast70() -> RunConfig:
    """CIFAR-10 to 70 % in the least time on two CPU cores.

    On the JPEG copy of CIFAR-10, test split, n = 5: 70.38 % (deviation 0.36, lowest 70.06), in 4.2
    s of training (4.1 to 5.5). 2 cores of an AMD EPYC (Zen 4), torch 2.15, 2026-11-28. On 2 of an
    Intel Xeon (AMX) 70.34 % (n = 5, deviation 0.35, lowest 69.75) in 2.2 s.

    fallline train fast70 --data cifar10_jpeg.tar.xz
    """
    return record(
        model={"widths": (32, 64, 96), "stem_stride": 2, "activation": "silu"},
        epochs=0.72,
        batch_size=250,
        lr=0.16,
        rest=0.5,
        label_smoothing=0.1,
        augment=AugmentConfig(flip="alternating"),
        tta="off",  # six views would take a third of the training's time
    )


def fast80() -> RunConfig:
    """CIFAR-10 to 80 % in the least time on two CPU cores.

    On the JPEG copy of CIFAR-10, test split, n = 5: 80.14 % (deviation 0.28, lowest 79.77), with
    six views averaged 81.87 %, in 23 s of training (19 to 24). 2 cores of an AMD EPYC (Zen 4),
    torch 2.15, 2026-11-28. With trained stem biases 80.15 % (n = 5) in 20 s on 2 of an Intel Xeon
    (AMX).

    fallline train fast80 --data cifar10_jpeg.tar.xz
    """
    return record(
        model={"widths": (48, 96, 128), "stem_stride": 2, "activation": "silu"},
        epochs=2.9,
        batch_size=500,
        rest=0.5,
        label_smoothing=0.1,
        augment=AugmentConfig(flip="alternating", shift=1),
    )


def fast90() -> RunConfig:
    """CIFAR-10 to 90 %, six views of an image averaged, on two CPU cores.

    On the JPEG copy of CIFAR-10, test split, n = 5: 89.11 % (deviation 0.28, lowest 88.66); with
    six views averaged 90.27 % (deviation 0.13, lowest 90.17), in 226 s of training (222 to 228). 2
    cores of an AMD EPYC (Zen 4), torch 2.15, 2026-11-28. With trained stem biases the same in
    205 s on 2 of an Intel Xeon (AMX).

    fallline train fast90 --data cifar10_jpeg.tar.xz
    """
    return record(
        model={"widths": (64, 256, 256), "stem_stride": 1, "activation": "silu"},
        epochs=8,
        batch_size=1000,
        hardest=0.5,
        lr=0.16,
        rest=0.5,
        augment=AugmentConfig(flip="alternating", shift=2),
    )


def best() -> RunConfig:
    """CIFAR-10 as well as an hour on two CPU cores allows, 18 views of an image averaged.

    On the JPEG copy of CIFAR-10, test split, n = 5: 92.04 % (deviation 0.21, lowest 91.80), with
    18 views averaged 93.02 % (deviation 0.15, lowest 92.87), torch 2.15, 2026-11-28. Two of them
    on 2 cores of an AMD EPYC (Zen 4), 3,115 s of training where it had both throughout, and three
    on 2 of an Intel Xeon (AMX), 1,515 s where it had.

    fallline train best --data cifar10_jpeg.tar.xz
    """
    return record(
        model={**AIRBENCH96, "activation": "silu", "stem_bias": False},
        epochs=32,
        batch_size=1000,
        hardest=0.65,
        lr=0.13,
        rest=0.5,
        augment=AugmentConfig(flip="alternating", shift=4, cutout=12),
        tta="flip_grid",
    )
