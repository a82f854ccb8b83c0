"""Least training time to an accuracy on CIFAR-10, on one GPU: named for the original images.

The recipes of airbench94_muon, airbench95 and airbench96_faster (Jordan 2024, arXiv 2404.00498 and
https://github.com/KellerJordan/cifar10-airbench) in this package's pieces, the latter two with
Muon in place of SGD. The stem's biases are trained to the end, for 3 passes in the original of 94,
whose biases decay, and ours do not. None has been run on a GPU yet: what they reach there is not
known.
"""

from __future__ import annotations

from fallline.config import AugmentConfig, RunConfig
from fallline.presets.record import AIRBENCH96, record

ON_A_GPU: dict[str, object] = {"compile": True, "eval_batch_size": 2000}


def fast94() -> RunConfig:
    """CIFAR-10 to 94 % on one GPU, airbench94_muon's recipe; not yet measured."""
    return record(
        model={"widths": (64, 256, 256), "stem_stride": 1, "stem_bias": True},
        epochs=8,
        batch_size=2000,
        augment=AugmentConfig(flip="alternating", shift=2),
        train=ON_A_GPU,
    )


def fast95() -> RunConfig:
    """CIFAR-10 to 95 % on one GPU, airbench95's net with Muon; not yet measured."""
    return record(
        model={"widths": (128, 384, 384), "stem_stride": 1, "stem_bias": True},
        epochs=12,
        batch_size=2000,
        augment=AugmentConfig(flip="alternating", shift=2),
        train=ON_A_GPU,
    )


def fast96() -> RunConfig:
    """CIFAR-10 to 96 % on one GPU, after airbench96_faster, with Muon; not yet measured.

    Its net, its augmentation and its half of each batch; unlike it 36 epochs instead of 45 in
    batches of 2,000 instead of 1,024, without warm-up and lookahead, and the small net that
    chooses trained in step.
    """
    return record(
        model=AIRBENCH96,
        epochs=36,
        batch_size=2000,
        hardest=0.5,
        augment=AugmentConfig(flip="alternating", shift=4, cutout=12),
        train=ON_A_GPU,
    )
