"""The norm of many tensors taken as one vector."""

from __future__ import annotations

import torch
from torch import Tensor


def norm(tensors: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """The 2-norm of all tensors together, a scalar on their device."""
    length: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    return length
