"""Least training time to an accuracy on CIFAR-10, on two CPU cores with avx512_bf16.

What they leave out of the record's recipe, and what that bought, is in docs/log.md.
"""

from __future__ import annotations

from fallline.config import AugmentConfig, RunConfig
from fallline.presets.record import record


def fast70() -> RunConfig:
    """CIFAR-10 to 70 % in the least time on two CPU cores."""
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
    )


def fast80() -> RunConfig:
    """CIFAR-10 to 80 % in the least time on two CPU cores."""
    return record(
        model={"widths": (48, 96, 128), "stem_stride": 2, "activation": "silu"},
        epochs=2.9,
        batch_size=500,
        rest=0.5,
        label_smoothing=0.1,
        augment=AugmentConfig(flip="alternating", shift=1),
    )


def fast90() -> RunConfig:
    """CIFAR-10 to 90 % in the least time on two CPU cores."""
    return record(
        model={"widths": (64, 128, 192), "stem_stride": 1, "activation": "silu"},
        epochs=10,
        batch_size=500,
        rest=0.5,
        augment=AugmentConfig(flip="alternating", shift=2),
    )
