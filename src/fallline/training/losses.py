"""The losses, on logits `(B, K)` against class indices `int64 (B,)` or soft targets `(B, K)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fallline.registry import Table


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float, reduction: str) -> Tensor:
    """Cross-entropy; label smoothing mixes the targets with the uniform distribution."""
    return F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction=reduction)


def squared_error(logits: Tensor, targets: Tensor, smoothing: float, reduction: str) -> Tensor:
    """Squared error summed over classes (Hui & Belkin 2021), on one-hot or soft targets."""
    classes = logits.shape[1]
    soft = F.one_hot(targets, classes).to(logits.dtype) if targets.ndim == 1 else targets
    error = (logits - torch.lerp(soft, torch.full_like(soft, 1 / classes), smoothing)).square()
    per_image = error.sum(dim=1)
    return per_image.mean() if reduction == "mean" else per_image


def softmax(logits: Tensor) -> Tensor:
    """The probabilities whose cross-entropy is the loss."""
    return logits.softmax(dim=1)


def nearest_probabilities(logits: Tensor) -> Tensor:
    """The probabilities with the least squared error to the logits, which estimate them.

    Held et al. 1974, as algorithm 1 of Martins & Astudillo 2016, https://arxiv.org/abs/1602.02068.
    """
    ordered = logits.sort(dim=1, descending=True).values
    count = torch.arange(1, logits.shape[1] + 1, device=logits.device)
    excess = ordered.cumsum(dim=1) - 1
    support = (count * ordered > excess).sum(dim=1, keepdim=True)
    return (logits - excess.gather(1, support - 1) / support).clamp(min=0)


@dataclass(frozen=True)
class LossRow:
    """One loss: `value(logits, targets, smoothing, reduction)`, and what its logits say."""

    name: str
    summary: str
    value: Callable[..., Tensor]
    probabilities: Callable[[Tensor], Tensor]


LOSSES = Table(
    "loss",
    [
        LossRow("cross_entropy", "the log-likelihood of the label", cross_entropy, softmax),
        LossRow(
            "squared_error",
            "squared distance of the logits to the one-hot label",
            squared_error,
            nearest_probabilities,
        ),
    ],
)
