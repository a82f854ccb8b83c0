"""What the speed presets have in common: the recipe of the CIFAR-10 records.

After airbench94_muon (Jordan 2024, https://github.com/KellerJordan/cifar10-airbench): Muon for the
filters, SGD with Nesterov momentum for biases and head, all rates linear to 0 without warm-up. Its
loss is a sum over the batch of 2,000; ours is a mean, so SGD's rates are its own times the batch.
As published speed runs do, it trains on the whole training split and is scored on the test split,
and the run's record says so.
"""

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

AIRBENCH96 = {  # its net, after airbench96_faster
    "widths": (128, 384, 512),
    "stem_stride": 1,
    "stem_bias": True,
    "convs": 3,
    "residual": True,
}
BIAS_LR = 0.053  # per image of a batch; airbench94_muon
HEAD_LR = 0.67
REST_MOMENTUM = 0.85
DECAY = 2e-6  # of the head, per image of a batch and step


def record(
    *,
    model: dict[str, object],
    epochs: float,
    batch_size: int,
    hardest: float = 1.0,
    lr: float = 0.24,
    rest: float = 1.0,
    label_smoothing: float = 0.2,
    augment: AugmentConfig,
    tta: str = "flip_shift",
    train: dict[str, object] | None = None,
) -> RunConfig:
    """A config of that recipe.

    Args:
        model: options of `convnet`.
        epochs, batch_size, hardest, label_smoothing, augment, tta: as in the config.
        lr: Muon's.
        rest: factor on the published rates of biases and head.
        train: further fields of `TrainConfig`.
    """
    return RunConfig(
        data=DataConfig(validate_on="test", augment=augment),
        model=ModelConfig.model_validate({"name": "convnet", **model}),
        optim=OptimConfig.model_validate(
            {
                "name": "muon",
                "lr": lr,
                "momentum": 0.6,
                "rest": "sgd",
                "rest_lr": rest * BIAS_LR * batch_size * hardest,  # of the images trained on
                "rest_momentum": REST_MOMENTUM,
                "rest_weight_decay": DECAY / HEAD_LR,
                "lr_scale": {"head": HEAD_LR / BIAS_LR},
            }
        ),
        schedule=ScheduleConfig(name="linear"),
        train=TrainConfig.model_validate(
            {
                "epochs": epochs,
                "batch_size": batch_size,
                "hardest": hardest,
                "label_smoothing": label_smoothing,
                "tta": tta,
                "eval_every": 1000,
                **(train or {}),
            }
        ),
    )
