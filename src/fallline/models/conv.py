"""The 3x3 convolution of the networks, on CPUs by one matrix product where its map is tiny.

On a map of 2x2 most taps of a 3x3 filter see padding: of its 36 pairs of a cell and a tap 16
count, on a single cell one of 9 (figures: docs/log.md). Where kernels of our own serve (`fused`)
the networks do not come here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CELLS = 4  # of the largest map, H W, on which the product is quicker than oneDNN
IMAGES = 32  # of the smallest batch; smaller ones do not pay for laying the weights out


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution without bias, padded with zeros; `stride` 2 halves the sides.

    While it trains on a CPU, tiny maps are computed as one product; what it returns differs by
    rounding only.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride=stride, padding=1, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride))."""
        images, _, height, width = input.shape
        tiny = height * width <= CELLS and images >= IMAGES and self.stride == (1, 1)
        if not tiny or input.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(input)
        autocast = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if autocast else input.dtype
        y: Tensor = Product.apply(input.to(dtype), self.weight.to(dtype))
        return y


class Product(torch.autograd.Function):
    """The convolution of `x` (B, C, H, W) with `weight` (O, C, 3, 3) as one product.

    Its matrix (H W O, H W C) holds for each pair of an output and an input cell the tap between
    them, or zeros. All outputs' parts of it are windows of one filter padded to (2H + 1, 2W + 1).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """(B, C, H, W), (O, C, 3, 3) -> (B, O, H, W), channels last."""
        images, inputs, height, width = x.shape
        outputs = len(weight)
        padded = weight.new_zeros(2 * height + 1, 2 * width + 1, outputs, inputs)
        _taps(padded).copy_(weight.permute(2, 3, 0, 1))
        matrix = weight.new_empty(height, width, outputs, height, width, inputs)
        for cell in _cells(height, width):
            matrix[cell] = _window(padded, cell).permute(2, 0, 1, 3)
        matrix = matrix.view(height * width * outputs, height * width * inputs)
        rows = x.permute(0, 2, 3, 1).reshape(images, -1)
        ctx.save_for_backward(rows, matrix)
        ctx.shape = height, width, outputs, inputs
        return (rows @ matrix.T).view(images, height, width, outputs).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of `x` and of `weight`, its taps summed in float32 at least."""
        rows, matrix = ctx.saved_tensors
        height, width, outputs, inputs = ctx.shape
        gradient = gradient.permute(0, 2, 3, 1).reshape(len(rows), -1)
        of_rows = (gradient @ matrix).view(-1, height, width, inputs)
        of_matrix = (gradient.T @ rows).view(height, width, outputs, height, width, inputs)
        exact = torch.promote_types(matrix.dtype, torch.float32)
        padded = torch.zeros(2 * height + 1, 2 * width + 1, outputs, inputs, dtype=exact)
        for cell in _cells(height, width):
            _window(padded, cell).add_(of_matrix[cell].permute(1, 2, 0, 3))
        of_weight = _taps(padded).permute(2, 3, 0, 1).to(matrix.dtype)
        return of_rows.permute(0, 3, 1, 2), of_weight


def _cells(height: int, width: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(height) for column in range(width)]


def _taps(padded: Tensor) -> Tensor:
    """The middle (3, 3, O, C) of a filter padded to (2H + 1, 2W + 1, O, C)."""
    row, column = (side // 2 - 1 for side in padded.shape[:2])
    return padded[row : row + 3, column : column + 3]


def _window(padded: Tensor, cell: tuple[int, int]) -> Tensor:
    """The (H, W, O, C) of a padded filter that the inputs meet whose output is `cell`."""
    height, width = (side // 2 for side in padded.shape[:2])
    row, column = height - cell[0], width - cell[1]
    return padded[row : row + height, column : column + width]
