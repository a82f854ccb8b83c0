"""What a config leaves to the data and the machine, filled in before a run begins."""

from __future__ import annotations

import os

from fallline.config import AugmentConfig, RunConfig
from fallline.data import ImageSet
from fallline.data.table import DATA
from fallline.training.device import pick_device, pick_precision
from fallline.training.threads import set_threads


def settle(config: RunConfig, images: ImageSet, train_images: int) -> RunConfig:
    """The config with all that depends on the data and the machine filled in."""
    device = pick_device(config.train.device)
    size = config.train.batch_size or min(500, max(16, train_images // 40))
    epochs = config.train.epochs or min(25.0, max(4.0, round(500_000 / train_images)))
    train = config.train.model_copy(
        update={
            "epochs": epochs,
            "batch_size": min(size, train_images),
            "device": str(device),
            "precision": pick_precision(config.train.precision, device),
            "threads": set_threads(config.train.threads),
        }
    )
    data = config.data.model_copy(
        update={
            "name": from_anywhere(config.data.name),
            "augment": _settled_augment(config, images),
        }
    )
    return config.model_copy(update={"data": data, "train": train})


def from_anywhere(name: str) -> str:
    """A row's name, or a path that means the same in another working directory."""
    return name if name in DATA else os.path.abspath(os.path.expanduser(name))


def _settled_augment(config: RunConfig, images: ImageSet) -> AugmentConfig:
    augment = config.data.augment
    _, height, width = images.shape
    flip = "alternating" if images.mirror else "off"
    return augment.model_copy(
        update={
            "flip": flip if augment.flip == "auto" else augment.flip,
            "shift": min(height, width) // 16 if augment.shift is None else augment.shift,
        }
    )
