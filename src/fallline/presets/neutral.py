"""A base that favours no optimizer: what comparisons are laid over."""

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


def neutral() -> RunConfig:
    """The base of comparisons: a plain BatchNorm convnet, nothing that one optimizer was tuned on.

    It is narrow, because a comparison is some hundred trainings.

    The speed recipes were tuned around Muon and SGD: frozen whitening, identity initialization, a
    scaled head, biases at 64 times the rate. None of that is here, no smoothing, no averaging; the
    one concession is a short warm-up, which adaptive optimizers are usually given, and SGD in
    large batches too (Goyal et al. 2017, arXiv 1706.02677, section 2.2). No accuracy is claimed:
    the optimizer and its rate are what a comparison is to find.

    fallline compare --data cifar10_jpeg.tar.xz
    """
    return RunConfig(
        data=DataConfig(augment=AugmentConfig(flip="auto", shift=None)),
        model=ModelConfig.model_validate(
            {
                "name": "convnet",
                "widths": (32, 64, 64),
                "whitening": False,
                "dirac": False,
                "scaled_head": False,
                "norm_weight": True,
                "norm_momentum": 0.1,
                "activation": "relu",
            }
        ),
        optim=OptimConfig(name="sgd"),
        schedule=ScheduleConfig(name="linear", warmup=0.05),
        train=TrainConfig(),
    )
