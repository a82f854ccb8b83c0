"""Fully connected network: [linear, norm, activation, dropout] for each width, then the head.

Ours: it may see images through their principal components instead of their pixels, after Lin,
Memisevic and Konda 2015 (arXiv 1511.02580). A step costs less by as much as there are fewer of
them than pixels: the projection is frozen, needs no gradient and is not orthogonalized by Muon.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import nn
from torch.nn import functional as F

from fallline.models.layers import ACTIVATIONS, as_weights

VARIANCE_FLOOR = 1e-2  # keeps components of little variance, mostly noise, from being blown up
SPARE, ITERATIONS = 16, 2  # directions that are searched beside those that are kept; how long
EXPONENT = 0.25  # of the variances they are divided by; 0.5, full whitening, is worse: docs/log.md

NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class Components(nn.Module):
    """The first principal components of images, made more equal in variance; frozen.

    Before `calibrate` the directions are random, and beyond the number of images they stay so.

    Args:
        pixels: C H W.
        count: how many components.
    """

    directions: torch.Tensor  # float32 (count, pixels)

    def __init__(self, pixels: int, count: int) -> None:
        super().__init__()
        self.register_buffer("directions", torch.randn(count, pixels) / pixels**0.5)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, pixels) -> (B, count)."""
        return F.linear(pixels, self.directions)

    @torch.no_grad()
    def calibrate(self, images: torch.Tensor) -> None:
        """Takes the directions from `images` (B, C, H, W).

        By subspace iteration (Halko et al. 2009, arXiv 0909.4061): no matrix of pixels by pixels
        is decomposed whole for the few directions that are kept.
        """
        pixels = images.flatten(1).cpu().float()
        count = min(len(self.directions), *pixels.shape)
        space = min(count + SPARE, *pixels.shape)
        _, values, axes = torch.svd_lowrank(pixels, space, niter=ITERATIONS)
        scaled = axes / (values.square() / len(images) + VARIANCE_FLOOR) ** EXPONENT
        self.directions[:count] = scaled.T[:count].to(self.directions)


class Mlp(nn.Module):
    """Multi-layer perceptron on the pixels or their principal components.

    Args:
        shape: (C, H, W) of an image.
        classes: number of logits.
        widths: units of each hidden layer; empty makes a linear model.
        norm: `batch`, `layer` or `none`, between a hidden layer and its activation.
        dropout: probability, after each activation.
        activation: a name in `ACTIVATIONS`.
        components: see images through that many of their principal components; 0: their pixels.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        widths: tuple[int, ...] = (1024, 512),
        norm: str = "batch",
        dropout: float = 0.0,
        activation: str = "relu",
        components: int = 0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = components or prod(shape)
        self.components = Components(prod(shape), components) if components else None
        for width in widths:
            layers.append(nn.Linear(inputs, width, bias=norm != "batch"))
            layers += [NORMS[norm](width)] if norm in NORMS else []
            layers.append(ACTIVATIONS[activation]())
            layers += [nn.Dropout(dropout)] if dropout else []
            inputs = width
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, classes)

    def calibrate(self, images: torch.Tensor) -> None:
        """Sets the components, if there are any, from normalized images (B, C, H, W)."""
        if self.components:
            self.components.calibrate(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits float32 (B, classes) of normalized images, float (B, C, H, W)."""
        x = as_weights(images, self.head.weight).flatten(1)
        x = self.components(x) if self.components else x
        logits: torch.Tensor = self.head(self.hidden(x))
        return logits.float()
