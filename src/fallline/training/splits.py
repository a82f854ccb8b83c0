"""Which images are trained on, which decide, which are kept for the end."""

from __future__ import annotations

from dataclasses import dataclass

from fallline.config import RunConfig
from fallline.data import ImageSet, Split, hold_out
from fallline.errors import ConfigError


@dataclass(frozen=True)
class Splits:
    """What is trained on, what choices are made on, what is kept for the end; and so in words."""

    train: Split
    val: Split
    test: Split | None
    words: str


def split(config: RunConfig, images: ImageSet) -> Splits:
    """The splits the config asks for. Raises ConfigError if the set has no such split."""
    data = config.data
    if data.validate_on == "test":
        if images.test is None:
            raise ConfigError(
                "data.validate_on=test needs a test split",
                seen=f"{images.name} has none",
                next="--set data.validate_on=val holds out training images instead",
            )
        return Splits(images.train, images.test, None, "validated on the test split")
    if images.val is not None:
        unused = "" if data.holdout is None else " (data.holdout is for sets without one)"
        words = f"validated on the set's val split{unused}"
        return Splits(images.train, images.val, images.test, words)
    train, val = hold_out(images.train, data.holdout, data.split_seed)
    words = f"validated on {len(val):,} images held out of the training split"
    return Splits(train, val, images.test, words)
