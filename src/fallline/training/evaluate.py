"""Scoring a model on a split: loss, accuracy, and every image's prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fallline.data.batches import Batch
from fallline.training.step import Loss

View = tuple[float, Callable[[Tensor], Tensor]]


def _plain(images: Tensor) -> Tensor:
    return images


def _mirrored(images: Tensor) -> Tensor:
    return images.flip(-1)


def _moved(down: int, right: int) -> Callable[[Tensor], Tensor]:
    """Moves by at most one pixel along each axis; the border is reflected."""

    def view(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
        return padded[:, :, 1 - down : 1 - down + height, 1 - right : 1 - right + width]

    return view


def _both(first: Callable[[Tensor], Tensor]) -> list[Callable[[Tensor], Tensor]]:
    return [first, lambda images: _mirrored(first(images))]


_AROUND = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
VIEWS: dict[str, Sequence[View]] = {
    "off": [(1.0, _plain)],
    "flip": [(1 / 2, view) for view in _both(_plain)],
    "flip_shift": [(1 / 4, view) for view in _both(_plain)]
    + [(1 / 8, view) for by in (-1, 1) for view in _both(_moved(by, by))],
    "flip_grid": [(1 / 18, view) for view in _both(_plain)]
    + [(1 / 18, view) for move in _AROUND for view in _both(_moved(*move))],
}
"""Weighted views whose logits are averaged. `flip_shift` is airbench's six (Jordan 2024);
`flip_grid` is all nine moves by up to one pixel, mirrored too: three times the work."""


@dataclass(frozen=True)
class Evaluation:
    """A model's score on one split. `loss` is the mean, accuracies are fractions."""

    loss: float
    accuracy: float
    batch_losses: tuple[float, ...]
    predicted: np.ndarray  # int64 (N,)
    losses: np.ndarray  # float32 (N,), one per image
    accuracy_tta: float | None = None


def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    loss: Loss,
    *,
    autocast: Callable[[], AbstractContextManager[object]],
    tta: str = "off",
) -> Evaluation:
    """Scores the model in evaluation mode; `loss` gives one value per image `(B,)`.

    With `tta` other than `off` the views are averaged for `accuracy_tta`; all else is of the plain
    images. The device is waited for once, at the end.
    """
    was_training = model.training
    model.eval()
    losses, predicted, averaged, labels = [], [], [], []
    try:
        with torch.inference_mode():
            for batch in batches:
                with autocast():
                    plain = model(batch.inputs).float()
                    views = _average(model, batch.inputs, plain, tta)
                losses.append(loss(plain, batch.targets))
                predicted.append(plain.argmax(dim=1))
                averaged.append(views.argmax(dim=1))
                labels.append(batch.targets)
    finally:
        model.train(was_training)
    every_label, every_loss = torch.cat(labels).cpu(), torch.cat(losses).cpu()
    guessed, by_views = torch.cat(predicted).cpu(), torch.cat(averaged).cpu()
    return Evaluation(
        loss=every_loss.double().mean().item(),
        accuracy=_share(guessed, every_label),
        batch_losses=tuple(torch.stack([part.mean() for part in losses]).tolist()),
        predicted=guessed.numpy(),
        losses=every_loss.numpy(),
        accuracy_tta=None if tta == "off" else _share(by_views, every_label),
    )


def _average(model: nn.Module, inputs: Tensor, plain: Tensor, tta: str) -> Tensor:
    """The weighted mean of the views' logits; the plain view is not computed again."""
    total = torch.zeros_like(plain)
    for weight, view in VIEWS[tta]:
        total += weight * (plain if view is _plain else model(view(inputs)).float())
    return total


def _share(predicted: Tensor, labels: Tensor) -> float:
    return (predicted == labels).double().mean().item()
