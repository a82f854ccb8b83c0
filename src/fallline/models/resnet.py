"""Residual networks of He et al. 2015 (arXiv 1512.03385) with basic blocks.

`Resnet18` is table 1's 18-layer network (projection shortcuts, four stages of two blocks);
`Resnet20` is section 4.2's network for CIFAR-10 (n = 3, parameter-free shortcuts: option A).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from fallline.models.conv import Conv3x3
from fallline.models.layers import as_weights, conv_norm_act

LARGE = 64  # px; images up to here would be left too small by a 7x7 stride-2 stem with pooling


class Block(nn.Module):
    """Two 3x3 convolutions around which `shortcut` leads the input (figure 2 of the paper)."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: nn.Module) -> None:
        super().__init__()
        self.conv1 = Conv3x3(inputs, outputs, stride)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = Conv3x3(outputs, outputs)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.activation = nn.ReLU()
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        inner = conv_norm_act(x, self.conv1, self.norm1, self.activation)
        return conv_norm_act(inner, self.conv2, self.norm2, self.activation, plus=self.shortcut(x))


class Subsample(nn.Module):
    """Every other pixel of every other row, and empty channels after the given ones.

    With `new_channels` this is the paper's shortcut without parameters, option A.
    """

    def __init__(self, new_channels: int = 0) -> None:
        super().__init__()
        self.new_channels = new_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C + new_channels, H / 2, W / 2), rounded up."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.new_channels))


def projection(inputs: int, outputs: int) -> nn.Module:
    """Option B, a 1x1 convolution of stride 2 and its norm.

    The stride is a layer of its own: oneDNN's gradient of a strided 1x1 filter on fewer than 16
    channels writes out of bounds when they come last (seen in torch 2.15).
    """
    conv = nn.Conv2d(inputs, outputs, 1, bias=False)
    return nn.Sequential(Subsample(), conv, nn.BatchNorm2d(outputs))


def initialize(net: nn.Module) -> None:
    """Filters as the paper says: He et al. 2015 (arXiv 1502.01852), preserving the output's."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class Resnet18(nn.Module):
    """ResNet-18; 11.17 million parameters for 10 classes of small images.

    Images up to 64 pixels get the stem in common use for CIFAR (3x3, stride 1, no pooling), larger
    ones the paper's (7x7, stride 2, 3x3 max-pooling of stride 2), unless `stem` says otherwise.

    Args:
        shape: (C, H, W) of an image.
        classes: number of logits.
        width: channels of the first stage.
        stem: `auto`, `small` or `large`.
    """

    def __init__(
        self, shape: tuple[int, int, int], classes: int, width: int = 64, stem: str = "auto"
    ) -> None:
        super().__init__()
        large = stem == "large" or (stem == "auto" and max(shape[1:]) > LARGE)
        self.stem = large_stem(shape[0], width) if large else small_stem(shape[0], width)
        blocks: list[nn.Module] = []
        inputs = width
        for stage in range(4):
            outputs, stride = width * 2**stage, 1 if stage == 0 else 2
            shortcut = projection(inputs, outputs) if stage else nn.Identity()
            blocks.append(Block(inputs, outputs, stride, shortcut))
            blocks.append(Block(outputs, outputs, 1, nn.Identity()))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, classes)
        initialize(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits float32 (B, classes) of normalized images, float (B, C, H, W)."""
        x = self.blocks(self.stem(as_weights(images, self.head.weight)))
        logits: torch.Tensor = self.head(x.mean((2, 3)))
        return logits.float()


class Resnet20(nn.Module):
    """ResNet-20; 0.27 million parameters for 10 classes.

    Args:
        shape: (C, H, W) of an image; above 64 pixels the stem is that of ResNet-18.
        classes: number of logits.
        width: channels of the first stage.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int = 16) -> None:
        super().__init__()
        large = max(shape[1:]) > LARGE
        self.stem = large_stem(shape[0], width) if large else small_stem(shape[0], width)
        blocks: list[nn.Module] = []
        for stage in range(3):
            outputs = width * 2**stage
            for block in range(3):
                halves = stage > 0 and block == 0
                shortcut = Subsample(outputs // 2) if halves else nn.Identity()
                inputs, stride = (outputs // 2, 2) if halves else (outputs, 1)
                blocks.append(Block(inputs, outputs, stride, shortcut))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width * 4, classes)
        initialize(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits float32 (B, classes) of normalized images, float (B, C, H, W)."""
        x = self.blocks(self.stem(as_weights(images, self.head.weight)))
        logits: torch.Tensor = self.head(x.mean((2, 3)))
        return logits.float()


def small_stem(channels: int, width: int) -> nn.Sequential:
    """A 3x3 convolution that keeps the size."""
    return nn.Sequential(Conv3x3(channels, width), nn.BatchNorm2d(width), nn.ReLU())


def large_stem(channels: int, width: int) -> nn.Sequential:
    """The paper's 7x7 convolution and pooling: a quarter of the side is left."""
    conv = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
    pool = nn.MaxPool2d(3, stride=2, padding=1)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(), pool)
