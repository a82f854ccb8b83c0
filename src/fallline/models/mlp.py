"""Fully connected network: [linear, norm, activation, dropout] for each width, then the head."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import nn

from fallline.models.layers import ACTIVATIONS, as_weights

NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class Mlp(nn.Module):
    """Multi-layer perceptron on the pixels.

    Args:
        shape: (C, H, W) of an image.
        classes: number of logits.
        widths: units of each hidden layer; empty makes a linear model.
        norm: `batch`, `layer` or `none`, between a hidden layer and its activation.
        dropout: probability, after each activation.
        activation: a name in `ACTIVATIONS`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        widths: tuple[int, ...] = (1024, 512),
        norm: str = "batch",
        dropout: float = 0.0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = prod(shape)
        for width in widths:
            layers.append(nn.Linear(inputs, width, bias=norm != "batch"))
            layers += [NORMS[norm](width)] if norm in NORMS else []
            layers.append(ACTIVATIONS[activation]())
            layers += [nn.Dropout(dropout)] if dropout else []
            inputs = width
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits float32 (B, classes) of normalized images, float (B, C, H, W)."""
        pixels = as_weights(images, self.head.weight).flatten(1)
        logits: torch.Tensor = self.head(self.hidden(pixels))
        return logits.float()
