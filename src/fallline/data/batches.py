"""The batches of one split on one device: resident, indexed, augmented and normalized whole."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from fallline.data.augment import (
    Augment,
    Draws,
    cut_out,
    draw,
    flip_and_shift,
    mix_images,
    mix_targets,
)
from fallline.data.imageset import Split
from fallline.data.readahead import ReadAhead

RESIDENT_SHARE = 0.5  # of an accelerator's free memory that a split may fill
PART_BYTES = 2**28  # pixels sent to an accelerator at a time, for which the host needs room
CHUNK_BYTES = 2**20  # float32 pixels normalized at a time on a CPU: they stay in its L2 cache
LARGEST_BYTES = 2**28  # on an accelerator: they are memory beside those that stay


class Batch(NamedTuple):
    """What a step works on.

    Attributes:
        inputs: (B, C, H, W), normalized, channels_last, in the dtype of the batches.
        targets: int64 (B,) labels, or float32 (B, classes) where images were mixed.
    """

    inputs: torch.Tensor
    targets: torch.Tensor


class Batches:
    """Hands out a split in batches, epoch by epoch.

    With `augment` (even one that is all off) these are batches to train on: shuffled, and of equal
    size, so that the last images of an epoch's order may wait for the next one. Without it they
    are batches to evaluate on: every image exactly once, in order.

    Args:
        split: the images and labels.
        classes: number of classes.
        mean, std: per channel, of pixels scaled to 0..1.
        batch_size: images per batch; a split that is smaller makes one batch.
        device: where the batches are.
        dtype: of the inputs.
        augment: random transforms; raises ConfigError if one is too large for the images.
        seed: decides, with an epoch's number, everything random in that epoch.
    """

    def __init__(
        self,
        split: Split,
        *,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        batch_size: int,
        device: torch.device,
        dtype: torch.dtype,
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        _, self.height, self.width, _ = split.images.shape
        if augment is not None:
            augment.check(self.height, self.width)
        self.classes = classes
        self.batch_size = min(batch_size, len(split))
        self.augment = augment
        self.seed = seed
        self._pixels = Pixels(split, device)
        self._labels = torch.from_numpy(split.targets).to(device)
        self._normalize = Normalize(mean, std, split.images.shape[1:], device, dtype)

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(len(self), self.batch_size)
        return whole if self.augment is not None or not rest else whole + 1

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (counted from 0), from batch `start` on.

        They are exactly those that an epoch begun at its start would give from there.
        """
        draws = self._draw(epoch)
        ahead = self._pixels.read_ahead()
        steps = self.steps_per_epoch
        for step in range(start, steps):
            with ahead.watching(self.batch_size):
                batch = self._batch(draws, step)
            if ahead.waited and step + 1 < steps:
                ahead.ask(self._pixels.rows_at(draws.order[self._part(step + 1)]))
            yield batch

    def sample(self, count: int) -> torch.Tensor:
        """Up to `count` images evenly spread over the split, normalized, not augmented."""
        places = torch.linspace(0, len(self) - 1, min(count, len(self))).long()
        self._pixels.read_ahead().ask(self._pixels.rows_at(places))
        return self._normalize(self._pixels.take(places))

    def _draw(self, epoch: int) -> Draws:
        if self.augment is None:
            return Draws(torch.arange(len(self)))
        draws = draw(
            self.augment,
            seed=self.seed,
            epoch=epoch,
            count=len(self),
            steps=self.steps_per_epoch,
            height=self.height,
            width=self.width,
        ).to(self._labels.device)
        # The order goes where the pixels are, once instead of in parts at each step.
        return replace(draws, order=sent(draws.order, self._pixels.rows.device))

    def _batch(self, draws: Draws, step: int) -> Batch:
        part = self._part(step)
        places = draws.order[part]
        inputs = self._inputs(places, draws, part)
        targets = self._labels[sent(places, self._labels.device)]
        if draws.mixes is not None:
            mix = draws.mixes[step]
            inputs, targets = mix_images(inputs, mix), mix_targets(targets, mix, self.classes)
        return Batch(inputs, targets)

    def _part(self, step: int) -> slice:
        return slice(step * self.batch_size, (step + 1) * self.batch_size)

    def _inputs(self, places: torch.Tensor, draws: Draws, part: slice) -> torch.Tensor:
        """Inputs of one batch, before images are mixed."""
        pixels = self._pixels.take(places)
        augment = self.augment or Augment()
        flipped = None if draws.flipped is None else draws.flipped[part]
        shifts = None if draws.shifts is None else draws.shifts[part]
        inputs = self._normalize(flip_and_shift(pixels, flipped, shifts, augment.shift))
        if draws.centres is not None:
            cut_out(inputs, draws.centres[part], augment.cutout)
        return inputs


class Pixels:
    """The pixels of a split, where its batches can be gathered fastest.

    On a CPU that is the memory-mapped file itself, shared with other processes. An accelerator
    gets a copy of the split if it has the room; else each batch is gathered on the host and sent.
    """

    def __init__(self, split: Split, device: torch.device) -> None:
        self.device = device
        images, self.rows = _shared(split.images), torch.from_numpy(split.rows)
        self._host: np.ndarray | None = split.images
        size = len(split) * images[0].numel()
        if device.type != "cpu" and size <= RESIDENT_SHARE * _free_bytes(device):
            images = copied(images, self.rows, device)
            self.rows = torch.arange(len(split), device=device)
            self._host = None
        self.images = images

    def rows_at(self, places: torch.Tensor) -> torch.Tensor:
        """Where the images of those places lie in `images`, int64 (B,)."""
        return self.rows[sent(places, self.rows.device)]

    def read_ahead(self) -> ReadAhead:
        """For one pass over the images: asks for those that do not lie in memory."""
        return ReadAhead(self._host)

    def take(self, places: torch.Tensor) -> torch.Tensor:
        """Images uint8 (B, H, W, C) on the device, for places int64 (B,) in the split."""
        pixels = self.images.index_select(0, self.rows_at(places))
        if pixels.device.type == "cpu" and self.device.type == "cuda":
            pixels = pixels.pin_memory()
        return sent(pixels, self.device)


def copied(images: torch.Tensor, rows: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Images (rows, H, W, C) on a device, sent part by part: the host holds no second copy."""
    copy = torch.empty((len(rows), *images.shape[1:]), dtype=images.dtype, device=device)
    count = max(1, PART_BYTES // images[0].numel())
    for start in range(0, len(rows), count):
        part = slice(start, start + count)
        copy[part] = images.index_select(0, rows[part])
    return copy


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on a device. The host waits for the copy unless it goes to CUDA.

    MPS may read a source that was freed and filled anew meanwhile (pytorch issue 189690).
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def _shared(images: np.ndarray) -> torch.Tensor:
    with warnings.catch_warnings():
        # The map is read-only, which torch cannot know of a tensor; nothing here writes to it.
        warnings.filterwarnings("ignore", "The given NumPy array is not writ", UserWarning)
        return torch.from_numpy(images)


def _free_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept  # of trainings before this one
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return 0.0


class Normalize:
    """uint8 pixels to floats of mean 0 and deviation 1: one affine map, computed in float32.

    Args:
        mean, std: per channel, of pixels scaled to 0..1.
        shape: (H, W, C).
        device, dtype: of the result.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        shape: Sequence[int],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        height, width, _ = shape
        deviation = torch.tensor(std).clamp(min=1e-3)  # a channel that never changes stays near 0
        self.factor = (1 / (255 * deviation)).repeat(height * width).to(device)
        self.offset = (-torch.tensor(mean) / deviation).repeat(height * width).to(device)
        self.dtype = dtype

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Maps uint8 (B, H, W, C) to (B, C, H, W), channels_last."""
        normalized = torch.empty(images.shape, dtype=self.dtype, device=images.device)
        flat, out = images.flatten(1), normalized.flatten(1)
        size = CHUNK_BYTES if images.device.type == "cpu" else LARGEST_BYTES
        chunk = max(1, size // (4 * flat.shape[1]))
        for start in range(0, len(images), chunk):
            part = slice(start, start + chunk)
            scaled = flat[part].float()
            out[part] = torch.addcmul(self.offset, scaled, self.factor, out=scaled)
        return normalized.permute(0, 3, 1, 2)
