"""Random transforms of whole batches, and the draws that decide them.

Everything random in an epoch is drawn at its start, from the seed and the epoch's number alone: an
epoch can be taken up at any batch, and nothing of a generator need be saved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

import numpy as np
import torch
from torch.nn import functional as F

from fallline.errors import ConfigError, Fault


@dataclass(frozen=True)
class Augment:
    """Which random transforms training batches get; the defaults leave images as they are.

    Attributes:
        flip: mirror left-right, by chance or in every other epoch (Jordan 2024, arXiv 2404.00498:
            which ones come first is decided per image, once).
        shift: largest distance in pixels, each way; reflected pixels come in.
        cutout: side in pixels of a square set to the mean, centred anywhere (arXiv 1708.04552).
        mixup: alpha of the Beta that weighs pairs of images (arXiv 1710.09412); 0: off.
        cutmix: alpha of the Beta that sizes a pasted box (arXiv 1905.04899); 0: off. With both,
            each batch gets one of the two.
    """

    flip: Literal["off", "random", "alternating"] = "off"
    shift: int = 0
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    def check(self, height: int, width: int) -> None:
        """Raises ConfigError where a transform is too large for images of this size."""
        side = min(height, width)
        faults = [
            Fault(
                f"{name} is too large for images of {height}x{width}",
                seen=str(pixels),
                allowed=f"0 to {side - 1} pixels",
                next=f"--set data.augment.{name}={min(pixels, side // 8)}",
            )
            for name, pixels in (("shift", self.shift), ("cutout", self.cutout))
            if pixels >= side
        ]
        if faults:
            raise ConfigError(faults)


@dataclass(frozen=True)
class Mix:
    """How one batch is mixed with itself, moved on by one image.

    `share` is the part of the partner in the targets; `box` = (top, bottom, left, right) is what
    cutmix pastes, None is mixup.
    """

    share: float
    box: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Draws:
    """Everything random in an epoch of N images; None is a transform that is off.

    Attributes:
        order: int64 (N,), the image at each place of the epoch; drawn on the CPU.
        flipped: bool (N,), by place, as are the next two.
        shifts: int64 (N, 2), pixels down and right from which an image's corner is taken.
        centres: int64 (N, 2), row and column of the cutout.
        mixes: one for each batch.
    """

    order: torch.Tensor
    flipped: torch.Tensor | None = None
    shifts: torch.Tensor | None = None
    centres: torch.Tensor | None = None
    mixes: tuple[Mix, ...] | None = None

    def to(self, device: torch.device) -> Draws:
        """The same draws with the transforms' tensors on `device`."""
        names = ("flipped", "shifts", "centres")
        tensors = {name: getattr(self, name) for name in names}
        return replace(self, **{n: t.to(device) for n, t in tensors.items() if t is not None})


def draw(
    augment: Augment, *, seed: int, epoch: int, count: int, steps: int, height: int, width: int
) -> Draws:
    """What happens to `count` images in `steps` batches of one epoch: the same on every call."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, epoch)))
    order = rng.permutation(count)
    flipped = _flips(rng, augment, seed, epoch, order)
    reach = augment.shift
    return Draws(
        torch.from_numpy(order),
        flipped=None if flipped is None else torch.from_numpy(flipped),
        shifts=torch.from_numpy(rng.integers(-reach, reach + 1, (count, 2))) if reach else None,
        centres=_centres(rng, (height, width), count) if augment.cutout else None,
        mixes=_mixes(rng, augment, steps, (height, width)),
    )


def _flips(
    rng: np.random.Generator, augment: Augment, seed: int, epoch: int, order: np.ndarray
) -> np.ndarray | None:
    if augment.flip == "off":
        return None
    if augment.flip == "random":
        return rng.random(len(order)) < 0.5
    for_all_epochs = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    first: np.ndarray = for_all_epochs.random(len(order)) < 0.5
    flipped: np.ndarray = first[order] ^ bool(epoch % 2)
    return flipped


def _centres(rng: np.random.Generator, size: tuple[int, int], count: int) -> torch.Tensor:
    return torch.from_numpy(rng.integers(0, size, (count, 2)))


def _mixes(
    rng: np.random.Generator, augment: Augment, steps: int, size: tuple[int, int]
) -> tuple[Mix, ...] | None:
    if not augment.mixup and not augment.cutmix:
        return None
    chance = 1.0 if not augment.mixup else 0.5 if augment.cutmix else 0.0
    pastes = rng.random(steps) < chance
    alphas = np.where(pastes, augment.cutmix, augment.mixup)
    shares = rng.beta(alphas, alphas)
    centres = rng.integers(0, size, (steps, 2))
    return tuple(
        _paste(share, centre, size) if paste else Mix(float(share), None)
        for paste, share, centre in zip(pastes, shares, centres, strict=True)
    )


def _paste(share: float, centre: np.ndarray, size: tuple[int, int]) -> Mix:
    """A box of about `share` of the image around `centre`, cut at the borders (cutmix, eq. 2)."""
    ends: list[int] = []
    for middle, side in zip(centre.tolist(), size, strict=True):
        half = int(side * sqrt(share)) // 2
        ends += [max(middle - half, 0), min(middle + half, side)]
    top, bottom, left, right = ends
    area = (bottom - top) * (right - left)
    return Mix(area / (size[0] * size[1]), (top, bottom, left, right))


def flip_and_shift(
    images: torch.Tensor, flipped: torch.Tensor | None, shifts: torch.Tensor | None, reach: int
) -> torch.Tensor:
    """Mirrors the images that are `flipped`, then moves each, reflecting at the borders.

    Args:
        images: uint8 (B, H, W, C), contiguous.
        flipped: bool (B,), or None.
        shifts: int64 (B, 2) from -reach to reach, or None: pixel (y, x) comes from (y, x) + shift.
        reach: largest shift in pixels, below H and W.
    """
    if flipped is None and shifts is None:
        return images
    if flipped is None:
        flipped = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    if shifts is None:
        shifts = torch.zeros(len(images), 2, dtype=torch.int64, device=images.device)
    move = _by_windows if images.device.type == "cpu" else _by_pixels
    return move(images, flipped, shifts, reach)


def _by_pixels(
    images: torch.Tensor, flipped: torch.Tensor, shifts: torch.Tensor, reach: int
) -> torch.Tensor:
    """One gather of all pixels: a single kernel on a GPU, and slow on a CPU."""
    _, height, width, _ = images.shape
    which = torch.arange(len(images), device=images.device)[:, None, None]
    rows = _reflected(shifts[:, 0], height)[:, :, None]
    columns = _reflected(shifts[:, 1], width)
    columns = torch.where(flipped[:, None], width - 1 - columns, columns)[:, None, :]
    return images[which, rows, columns]


def _by_windows(
    images: torch.Tensor, flipped: torch.Tensor, shifts: torch.Tensor, reach: int
) -> torch.Tensor:
    """Copies whole rows of pixels: each is a window on a row that was widened by reflection.

    The images that are flipped come last in `wide`; the windows put all back in their order.
    """
    _, height, width, channels = images.shape
    order = flipped.byte().argsort(stable=True)
    wide = _widened(images.index_select(0, order), int(flipped.sum()), reach)
    rows = order.argsort()[:, None] * height + _reflected(shifts[:, 0], height)
    starts = (rows * wide.shape[2] + reach + shifts[:, 1:]) * channels
    window = width * channels
    windows = wide.as_strided((wide.numel() - window + 1, window), (1, 1))
    return windows.index_select(0, starts.flatten()).view(images.shape)


def _widened(images: torch.Tensor, flipped: int, reach: int) -> torch.Tensor:
    """The images, the last `flipped` mirrored, with `reach` reflected columns on either side."""
    count, height, width, channels = images.shape
    wide = images.new_empty(count, height, width + 2 * reach, channels)
    middle = wide[:, :, reach : reach + width]
    middle[: count - flipped] = images[: count - flipped]
    middle[count - flipped :] = images[count - flipped :].flip(2)
    for k in range(1, reach + 1):
        wide[:, :, reach - k] = middle[:, :, k]
        wide[:, :, reach + width - 1 + k] = middle[:, :, width - 1 - k]
    return wide


def _reflected(shift: torch.Tensor, side: int) -> torch.Tensor:
    """Where each of `side` pixels comes from under each shift, int64 (B, side)."""
    index = (torch.arange(side, device=shift.device) + shift[:, None]).abs()
    return torch.where(index < side, index, 2 * (side - 1) - index)


def cut_out(images: torch.Tensor, centres: torch.Tensor, side: int) -> None:
    """Sets a square of each normalized image to the mean, 0, in place.

    Args:
        images: float (B, C, H, W), channels_last.
        centres: int64 (B, 2), row and column; squares are cut at the borders.
        side: of the square, in pixels.
    """
    count, channels, height, width = images.shape
    lines = images.permute(0, 2, 3, 1).view(count * height, width * channels)
    offset = torch.arange(side, device=images.device) - side // 2
    rows = (centres[:, :1] + offset).clamp(0, height - 1)  # twice where a border cuts: no harm
    which = (rows + height * torch.arange(count, device=images.device)[:, None]).flatten()
    columns = torch.arange(width, device=images.device) - centres[:, 1:] + side // 2
    kept = ((columns < 0) | (columns >= side)).repeat_interleave(channels, 1).to(images.dtype)
    cut = lines.index_select(0, which).view(count, side, -1) * kept[:, None]
    lines.index_copy_(0, which, cut.flatten(0, 1))


def mix_images(images: torch.Tensor, mix: Mix) -> torch.Tensor:
    """Mixes each of the images (B, C, H, W) with the one before it in the batch."""
    if mix.box is None:
        return torch.lerp(images, images.roll(1, 0), mix.share)
    top, bottom, left, right = mix.box
    images[:, :, top:bottom, left:right] = images[:, :, top:bottom, left:right].roll(1, 0)
    return images


def mix_targets(labels: torch.Tensor, mix: Mix, classes: int) -> torch.Tensor:
    """Targets float32 (B, classes) of a mixed batch with labels int64 (B,)."""
    targets = F.one_hot(labels, classes).float()
    return torch.lerp(targets, targets.roll(1, 0), mix.share)
