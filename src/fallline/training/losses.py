"""The losses, on logits `(B, K)` against class indices `int64 (B,)` or soft targets `(B, K)`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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


LOSSES = {"cross_entropy": cross_entropy, "squared_error": squared_error}
