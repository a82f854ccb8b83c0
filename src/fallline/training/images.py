"""The images a run trains on: those it names, or digits where nobody chose and none can be had."""

from __future__ import annotations

from dataclasses import replace

from fallline.config import DataConfig
from fallline.data import ImageSet, load
from fallline.data.imageset import Progress
from fallline.errors import DataUnavailable
from fallline.track.terminal import tell
from fallline.training.resolve import Resolved

FALLBACK = "digits"


def load_images(data: DataConfig, progress: Progress) -> ImageSet:
    """The image set a config names; raises what `data.load` does."""
    size, channels = data.image_size, data.channels
    return load(data.name, image_size=size, channels=channels, progress=progress)


def load_or_fall_back(resolved: Resolved, progress: Progress) -> tuple[Resolved, ImageSet]:
    """The images; the built-in digits where nobody chose and nothing can be downloaded."""
    try:
        return resolved, load_images(resolved.config.data, progress)
    except DataUnavailable as error:
        if "data.name" in resolved.origins:
            raise
        data = resolved.config.data.model_copy(update={"name": FALLBACK})
        images = load_images(data, progress)
        reach = max(data.augment.shift or 0, data.augment.cutout)
        if reach >= min(images.shape[1:]):  # settings for larger images: for others than these
            raise
        name = resolved.config.data.name
        tell(f"NOTE: {name} cannot be had here; this run trains on {FALLBACK} instead.\n{error}")
    config = resolved.config.model_copy(update={"data": data})
    origins = {**resolved.origins, "data.name": f"{name} could not be downloaded"}
    note = f"these are {FALLBACK}: {name} could not be downloaded"
    return Resolved(config, origins), replace(images, notes=(*images.notes, note))
