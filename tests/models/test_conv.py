"""The convolution by matrix products: torch's numbers, and only where it is quicker."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from fallline.models import conv
from fallline.models.conv import Conv3x3, Product, ShiftedRows, Way

MAPS = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 4), (3, 3), (2, 5), (7, 7)]


def example(height: int, width: int, images: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, weights and the gradient of the outputs, in float64."""
    draw = torch.Generator().manual_seed(0)
    shapes = (images, 6, height, width), (5, 6, 3, 3), (images, 5, height, width)
    x, weight, gradient = (torch.randn(s, generator=draw, dtype=torch.float64) for s in shapes)
    return x.requires_grad_(), weight.requires_grad_(), gradient


@pytest.mark.parametrize("way", [Product, ShiftedRows])
@pytest.mark.parametrize(("height", "width"), MAPS)
def test_every_way_has_the_convolutions_values_and_gradients(
    height: int, width: int, way: type[Function]
) -> None:
    x, weight, gradient = example(height, width)
    ours, theirs = way.apply(x, weight), F.conv2d(x, weight, padding=1)
    torch.testing.assert_close(ours, theirs)
    of_ours = torch.autograd.grad(ours, (x, weight), gradient)
    of_theirs = torch.autograd.grad(theirs, (x, weight), gradient)
    torch.testing.assert_close(of_ours, of_theirs)


Taken = list[tuple[str, torch.dtype]]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """The name of every way that was taken instead of torch's, and the dtype it was given."""
    seen: Taken = []

    def noted(way: Way) -> Way:
        def convolve(x: Tensor, weight: Tensor) -> Tensor:
            seen.append((way.convolve.__self__.__name__, x.dtype))  # type: ignore[attr-defined]
            return way.convolve(x, weight)

        return replace(way, convolve=convolve)

    monkeypatch.setattr(conv, "WAYS", tuple(map(noted, conv.WAYS)))
    return seen


@pytest.mark.parametrize(
    ("images", "channels", "side", "tiles", "autocast", "name"),
    [
        (32, 4, 2, False, False, "Product"),
        (32, 4, 1, False, True, "Product"),
        (31, 4, 2, False, False, None),  # laying the weights out would take longer
        (128, 4, 3, False, True, None),
        (128, 4, 3, True, False, None),  # tiles multiply bfloat16
        (128, 4, 3, True, True, "Product"),
        (127, 4, 3, True, True, None),
        (128, 4, 4, True, True, None),
        (128, 256, 4, True, True, "ShiftedRows"),
        (128, 255, 4, True, True, None),
        (127, 256, 4, True, True, None),
        (128, 256, 4, True, False, None),
        (128, 256, 9, True, True, None),
    ],
)
def test_a_way_is_taken_where_it_is_quicker(
    taken: Taken,
    monkeypatch: pytest.MonkeyPatch,
    images: int,
    channels: int,
    side: int,
    tiles: bool,
    autocast: bool,
    name: str | None,
) -> None:
    monkeypatch.setattr(conv, "cpu_flags", lambda: {"amx_bf16"} if tiles else set())
    layer, x = Conv3x3(channels, channels), torch.randn(images, channels, side, side)
    context: AbstractContextManager[object] = nullcontext()
    if autocast:
        context = torch.autocast("cpu", torch.bfloat16)
    with context:
        layer(x)
    dtype = torch.bfloat16 if autocast else torch.float32
    assert taken == ([] if name is None else [(name, dtype)])


def test_only_training_without_stride_goes_another_way(taken: Taken) -> None:
    x = torch.randn(64, 4, 2, 2)
    assert Conv3x3(4, 4, stride=2)(x).shape == (64, 4, 1, 1)
    with torch.inference_mode():
        Conv3x3(4, 4)(x)
    assert not taken


def test_a_step_in_bfloat16_is_the_convolutions_but_for_rounding() -> None:
    torch.manual_seed(0)
    layer, x = Conv3x3(16, 16), torch.randn(64, 16, 2, 2).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).square().sum().backward()
    assert layer.weight.grad is not None
    assert x.grad is not None
    exact = F.conv2d(x, layer.weight, padding=1).square().sum()
    for ours, theirs in zip(
        (x.grad, layer.weight.grad), torch.autograd.grad(exact, (x, layer.weight)), strict=True
    ):
        assert (ours - theirs).norm() < 0.01 * theirs.norm()
