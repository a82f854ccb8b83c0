"""Pieces that more than one network is made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fallline.models import fused

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


def conv_norm_act(
    x: Tensor,
    conv: nn.Conv2d,
    norm: nn.BatchNorm2d,
    activation: nn.Module,
    *,
    pooled: bool = False,
    plus: Tensor | None = None,
) -> Tensor:
    """activation(norm(conv(x)) + plus), the convolution max-pooled by 2 if `pooled`.

    (B, C, H, W) -> (B, O, H', W'), in one pass where there are kernels for it.
    """
    layer = fused.Layer(conv, norm, activation, pooled)
    if layer.serves(x):
        return layer(x, plus)
    z = conv(x)
    z = norm(F.max_pool2d(z, 2) if pooled else z)
    y: Tensor = activation(z if plus is None else z + plus)
    return y
