"""The 3x3 convolution of the networks, on CPUs by matrix products where its map is small.

On a map of 2x2 most taps of a 3x3 filter see padding: of its 36 pairs of a cell and a tap 16
count, on a single cell one of 9. And weights' gradients on small maps are what oneDNN is slowest
at, most of all where the CPU multiplies tiles (AMX). The rows of `WAYS` say what is quicker where
(figures: docs/log.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from fallline.machine import cpu_flags


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution without bias, padded with zeros; `stride` 2 halves the sides.

    While it trains on a CPU it is computed in the quickest way; what it returns differs by
    rounding only.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.tiles = "amx_bf16" in cpu_flags()

    def forward(self, input: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride))."""
        if self.stride != (1, 1) or input.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(input)
        autocast = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if autocast else input.dtype
        tiles = self.tiles and dtype == torch.bfloat16
        for way in WAYS:
            if way.is_quicker(input.shape, self.out_channels, tiles):
                return way.convolve(input.to(dtype), self.weight.to(dtype))
        return super().forward(input)


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


class ShiftedRows(torch.autograd.Function):
    """The convolution with the weights' gradient by nine matrix products.

    A tap pairs an output cell with the input cell so many rows and columns away. Where each map
    has a row and a column of zeros more and all lie one after the other, that is the same
    distance for all cells: the products are of the outputs' rows with the inputs', shifted.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """(B, C, H, W), (O, C, 3, 3) -> (B, O, H, W)."""
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of `x` and of `weight`."""
        x, weight = ctx.saved_tensors
        row = x.shape[3] + 1
        outputs, inputs = _in_a_row(gradient, margin=0), _in_a_row(x, margin=row + 1)
        of_weight = weight.new_empty(3, 3, *weight.shape[:2])
        for down, right in _cells(3, 3):
            start = down * row + right
            shifted = inputs[start : start + len(outputs)]
            torch.mm(outputs.T, shifted, out=of_weight[down, right])
        of_x: Tensor = conv2d_input(x.shape, weight, gradient, padding=1)  # type: ignore[no-untyped-call]
        return of_x, of_weight.permute(2, 3, 0, 1)


def _in_a_row(x: Tensor, margin: int) -> Tensor:
    """The cells of maps (B, C, H, W), each map with a row and a column of zeros more: (cells, C).

    There are `margin` cells of zeros at either end.
    """
    images, channels, height, width = x.shape
    cells = images * (height + 1) * (width + 1)
    flat = x.new_zeros(cells + 2 * margin, channels)
    maps = flat[margin : margin + cells].view(images, height + 1, width + 1, channels)
    maps[:, :height, :width] = x.permute(0, 2, 3, 1)
    return flat


@dataclass(frozen=True)
class Way:
    """A row: how to convolve, and from where to where that is quicker than oneDNN.

    Attributes:
        convolve: from inputs (B, C, H, W) and weights (O, C, 3, 3).
        cells: of the largest map, H W.
        images: of the smallest batch; smaller ones do not pay for laying things out.
        channels: fewest, in or out.
        tiles: only where the CPU multiplies tiles of bfloat16, and the inputs are that.
    """

    convolve: Callable[[Tensor, Tensor], Tensor]
    cells: int
    images: int
    channels: int
    tiles: bool

    def is_quicker(self, shape: torch.Size, outputs: int, tiles: bool) -> bool:
        """For inputs of that shape and so many output channels."""
        images, inputs, height, width = shape
        return (
            height * width <= self.cells
            and images >= self.images
            and min(inputs, outputs) >= self.channels
            and (tiles or not self.tiles)
        )


WAYS = (
    Way(Product.apply, cells=4, images=32, channels=1, tiles=False),
    Way(Product.apply, cells=9, images=128, channels=1, tiles=True),
    Way(ShiftedRows.apply, cells=64, images=128, channels=256, tiles=True),
)


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
