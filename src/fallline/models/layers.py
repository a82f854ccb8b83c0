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


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size (or halves it), without the bias a norm would undo."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
