"""Pieces that more than one network is made of."""

from __future__ import annotations

import torch
from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}


def as_weights(images: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`images` in the dtype of `weight`, except under autocast, which chooses dtypes itself."""
    if torch.is_autocast_enabled(images.device.type):
        return images
    return images.to(weight.dtype)
