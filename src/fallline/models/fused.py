"""A convolution, its pooling, norm and activation in one, on CPUs that multiply bfloat16.

Between the kernels maps lie cell by cell, (H, W, B, C), in bfloat16; to torch they are tensors
(B, C, H, W) with strides of their own.

Whether kernels serve is asked of a batch (`serve`, by whatever computes on one), of a layer and a
batch (`Layer.serves`, by `conv_norm_act`), of layers alone (`knows_conv`, `knows_activation`, by a
net that lays out its maps for them), and of a net for a run's record (`suit`). Which of them there
are, by tiles (AMX) or by vectors (AVX-512), is for `kernels` to find.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fallline.models.conv import Conv3x3
from fallline.models.kernels import kernels

KINDS = {nn.ReLU: 0, nn.SiLU: 1, nn.GELU: 2}  # of activations, as the kernels count them
PIECES = 32  # of rows, in norm.c
IMAGES = 32  # fewer are not worth laying out; kernels take 16 at a time, and no fewer


def serve(x: Tensor) -> bool:
    """Whether the kernels are there and compute on a batch (B, C, H, W): autocast to bfloat16."""
    return (
        not torch.compiler.is_compiling()
        and type(x) in (Tensor, nn.Parameter)  # others may have no memory
        and x.device.type == "cpu"
        and len(x) >= IMAGES
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and kernels() is not None
    )


def suit(net: nn.Module, images: int) -> bool:
    """Whether kernels would serve a layer of a net, and batches of so many images."""
    layers = list(net.modules())
    known = any(isinstance(layer, nn.Conv2d) and knows_conv(layer) for layer in layers)
    return images >= IMAGES and known and any(knows_activation(layer) for layer in layers)


def laid_out(x: Tensor) -> Tensor:
    """The same x (B, C, H, W), in memory cell by cell where kernels serve."""
    return maps(cells(x)) if serve(x) else x


def knows_conv(conv: nn.Conv2d) -> bool:
    """Whether the kernels compute such a convolution."""
    shaped = conv.in_channels % 8 == 0 and conv.out_channels % 16 == 0
    plain = (conv.stride, conv.padding, conv.dilation, conv.groups) == ((1, 1), (1, 1), (1, 1), 1)
    zeros = conv.padding_mode == "zeros" and conv.bias is None
    return isinstance(conv, Conv3x3) and shaped and plain and zeros


def knows_activation(activation: nn.Module) -> bool:
    """Whether the kernels compute it: GELU by erf only."""
    return type(activation) in KINDS and getattr(activation, "approximate", "none") == "none"


@dataclass(frozen=True)
class Layer:
    """activation(norm(pool(conv(x))) + plus).

    Attributes:
        conv: the kernels know 3x3 ones only.
        norm: by the batch's statistics while it trains, else by its running ones.
        activation: the kernels know those of `KINDS`.
        pooled: by the largest of 2x2 cells.
    """

    conv: nn.Conv2d
    norm: nn.BatchNorm2d
    activation: nn.Module
    pooled: bool

    def serves(self, x: Tensor) -> bool:
        """Whether kernels compute it on x (B, C, H, W)."""
        return serve(x) and self._knows_layers() and self._knows_shape(x.shape)

    def _knows_layers(self) -> bool:
        conv, norm = self.conv, self.norm
        trains = norm.training or not torch.is_grad_enabled()
        by_batch = norm.training or norm.running_mean is not None
        plain = type(norm) is nn.BatchNorm2d and norm.affine
        if not plain or not knows_conv(conv) or not trains or not by_batch:
            return False
        held = [norm.weight, norm.bias, norm.running_mean, norm.running_var]
        rows = all(t is None or t.is_contiguous() for t in held)
        floats = all(
            t is None or (t.dtype, t.device.type) == (torch.float32, "cpu")
            for t in [conv.weight, *held]
        )
        return knows_activation(self.activation) and rows and floats

    def _knows_shape(self, shape: torch.Size) -> bool:
        conv = self.conv
        return (
            shape[1] == conv.in_channels
            and conv.out_channels == self.norm.num_features
            and min(shape[2:]) >= 1 + self.pooled
        )

    def __call__(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """(B, C, H, W), (B, O, H', W') -> (B, O, H', W'), bfloat16."""
        factor = 1 + self.pooled
        shape = len(x), self.conv.out_channels, x.shape[2] // factor, x.shape[3] // factor
        assert plus is None or plus.shape == shape, "kernels do not broadcast"
        y: Tensor = _Function.apply(
            x, self.conv.weight, self.norm.weight, self.norm.bias, plus, self
        )
        return y


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        scale: Tensor,
        bias: Tensor,
        plus: Tensor | None,
        layer: Layer,
    ) -> Tensor:
        x, plus = cells(x), None if plus is None else cells(plus)
        z, chosen = _convolve(x, weight, layer.pooled)
        kept = _take_statistics(z, layer.norm) if layer.norm.training else _running(layer.norm)
        y = torch.empty_like(z)
        kind = KINDS[type(layer.activation)]
        _call("activate", z, plus, y, kept, _rows(z), len(weight), kind)
        ctx.save_for_backward(x, weight, scale, z, chosen, plus, kept)
        ctx.activation = kind
        return maps(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale, z, chosen, plus, kept = ctx.saved_tensors
        of_sum = torch.empty_like(z)
        of_z = of_sum if plus is None else torch.empty_like(z)
        of_scale, of_bias = torch.empty_like(scale), torch.empty_like(scale)
        outputs = len(weight)
        _call(
            "norm_gradient", z, plus, cells(gradient), kept, of_sum, of_z, of_scale, of_bias,
            _totals(outputs), _floats(3, outputs), _rows(z), outputs, ctx.activation,
        )  # fmt: skip
        needs = ctx.needs_input_grad
        of_x = maps(_convolve_back(of_z, chosen, weight, x)) if needs[0] else None
        of_weight = _correlate(x, of_z, chosen) if needs[1] else None
        return of_x, of_weight, of_scale, of_bias, None if plus is None else maps(of_sum), None


def cells(x: Tensor) -> Tensor:
    """(B, C, H, W) as bfloat16 (H, W, B, C), contiguous."""
    return x.to(torch.bfloat16).permute(2, 3, 0, 1).contiguous()


def maps(x: Tensor) -> Tensor:
    """(H, W, B, C) as (B, C, H, W)."""
    return x.permute(2, 3, 0, 1)


def patches(x: Tensor, side: int, stride: int) -> Tensor:
    """The patches of x (B, C, H, W) that filters meet, (H', W', B, C side side), bfloat16."""
    x = cells(x)
    ends = [stride * ((length - side) // stride) + 1 for length in x.shape[:2]]
    shifted = [
        x[row : row + ends[0] : stride, column : column + ends[1] : stride]
        for row in range(side)
        for column in range(side)
    ]
    return torch.stack(shifted, dim=-1).flatten(3)


def _convolve(x: Tensor, weight: Tensor, pooled: bool) -> tuple[Tensor, Tensor | None]:
    """The convolution of x (H, W, B, C); where it is pooled also which cell was the largest."""
    height, width, images, inputs = x.shape
    factor, outputs = 1 + pooled, len(weight)
    rows, columns = height // factor, width // factor
    z = x.new_empty(rows, columns, images, outputs)
    chosen = torch.empty_like(z, dtype=torch.uint8) if pooled else None
    sides = factor * rows, factor * columns
    _call(
        "convolve", x, None, _packed(weight, sides, flipped=False), z, chosen, images,
        height, width, *sides, inputs, outputs,
    )  # fmt: skip
    return z, chosen


def _convolve_back(of_z: Tensor, chosen: Tensor | None, weight: Tensor, x: Tensor) -> Tensor:
    """The gradient of x from that of its convolution."""
    height, width, images, inputs = x.shape
    of_x = torch.empty_like(x)
    _call(
        "convolve", of_z, chosen, _packed(weight, (height, width), flipped=True), of_x, None,
        images, *_unpooled(of_z, chosen), height, width, len(weight), inputs,
    )  # fmt: skip
    return of_x


def _correlate(x: Tensor, of_z: Tensor, chosen: Tensor | None) -> Tensor:
    """The gradient (O, C, 3, 3), channels last, of the weights."""
    height, width, images, inputs = x.shape
    (rows, columns), outputs = _unpooled(of_z, chosen), of_z.shape[3]
    gradient = _floats(outputs, 3, 3, inputs)
    sizes = images, height, width, rows, columns, inputs, outputs
    space = x.new_empty(_room("correlated", *sizes), dtype=torch.uint8)
    _call("correlate", x, of_z, chosen, gradient, space, *sizes)
    return gradient.permute(0, 3, 1, 2)


def _unpooled(z: Tensor, chosen: Tensor | None) -> tuple[int, int]:
    """Height and width before pooling, without a last row or column that it left out."""
    factor = 1 if chosen is None else 2
    return factor * z.shape[0], factor * z.shape[1]


def _packed(weight: Tensor, sides: tuple[int, int], *, flipped: bool) -> Tensor:
    """Weights (O, C, 3, 3) as the kernel takes them for maps of such sides.

    Flipped ones lead from outputs to inputs.
    """
    weight = weight.contiguous(memory_format=torch.channels_last)
    sizes = *sides, *(weight.shape[1::-1] if flipped else weight.shape[:2])
    into = weight.new_empty(_room("packed", *sizes), dtype=torch.bfloat16)
    _call("pack", weight, into, *sizes, flipped)
    return into


def _take_statistics(z: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Mean, 1 / deviation, scale and shift of z (H, W, B, C), which the running ones take up."""
    running: list[Tensor | None] = [None, None]
    momentum = norm.momentum or 0.0
    if norm.track_running_stats:
        running = [norm.running_mean, norm.running_var]
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
            if norm.momentum is None:  # stands for the plain mean of all batches
                momentum = 1 / norm.num_batches_tracked.item()
    kept = _floats(4, z.shape[3])
    _call(
        "statistics", z, norm.weight, norm.bias, *running, float(momentum), float(norm.eps), kept,
        _totals(z.shape[3]), _rows(z), z.shape[3],
    )  # fmt: skip
    return kept


def _running(norm: nn.BatchNorm2d) -> Tensor:
    """Mean, 1 / deviation, scale and shift by the running statistics."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    inverse = (variance + norm.eps).rsqrt()
    scale = norm.weight * inverse
    return torch.stack([mean, inverse, scale, norm.bias - mean * scale])


def _floats(*shape: int) -> Tensor:
    """Room for numbers in float32, whatever torch's defaults are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def _totals(channels: int) -> Tensor:
    """Room for two sums of a channel in each of the pieces that rows are split into."""
    return torch.empty((PIECES, 2, channels), dtype=torch.float64, device="cpu")


def _rows(z: Tensor) -> ctypes.c_long:
    return ctypes.c_long(z.numel() // z.shape[3])


def _call(name: str, *arguments: Any) -> None:
    """Calls a kernel on torch's threads; tensors are passed as the address of their elements."""
    library = kernels()
    assert library is not None
    getattr(library, f"kernel_{name}")(*map(_passed, arguments), torch.get_num_threads())


def _room(name: str, *sizes: int) -> int:
    """How much of what is `name` a kernel has to find room for."""
    function = getattr(kernels(), f"kernel_{name}")
    function.restype = ctypes.c_long
    return int(function(*sizes))


def _passed(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_double(argument) if isinstance(argument, float) else argument
