"""The convolution as a product: the same numbers as torch's, and only where it is quicker."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fallline.models import conv
from fallline.models.conv import Conv3x3, Product

MAPS = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 4), (3, 3), (2, 5)]


def example(height: int, width: int, images: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, weights and the gradient of the outputs, in float64."""
    draw = torch.Generator().manual_seed(0)
    shapes = (images, 6, height, width), (5, 6, 3, 3), (images, 5, height, width)
    x, weight, gradient = (torch.randn(s, generator=draw, dtype=torch.float64) for s in shapes)
    return x.requires_grad_(), weight.requires_grad_(), gradient


@pytest.mark.parametrize(("height", "width"), MAPS)
def test_a_product_has_the_convolutions_values_and_gradients(height: int, width: int) -> None:
    x, weight, gradient = example(height, width)
    ours, theirs = Product.apply(x, weight), F.conv2d(x, weight, padding=1)
    torch.testing.assert_close(ours, theirs)
    of_ours = torch.autograd.grad(ours, (x, weight), gradient)
    of_theirs = torch.autograd.grad(theirs, (x, weight), gradient)
    torch.testing.assert_close(of_ours, of_theirs, rtol=1e-6, atol=1e-5)  # taps are float32 sums


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Size, torch.dtype]]:
    """Shape and dtype of every input that was computed as a product."""
    seen: list[tuple[torch.Size, torch.dtype]] = []
    apply = Product.apply

    def note(x: Tensor, weight: Tensor) -> Tensor:
        seen.append((x.shape, x.dtype))
        result: Tensor = apply(x, weight)
        return result

    monkeypatch.setattr(Product, "apply", note)
    return seen


@pytest.mark.parametrize(
    ("images", "side", "tiles", "autocast", "as_product"),
    [
        (32, 2, False, False, True),
        (32, 1, False, True, True),
        (31, 2, False, False, False),  # laying the weights out would take longer
        (128, 3, False, True, False),
        (128, 3, True, False, False),  # tiles multiply bfloat16
        (128, 3, True, True, True),
        (127, 3, True, True, False),
        (500, 4, True, True, False),
    ],
)
def test_a_product_is_taken_where_it_is_quicker(
    products: list[tuple[torch.Size, torch.dtype]],
    monkeypatch: pytest.MonkeyPatch,
    images: int,
    side: int,
    tiles: bool,
    autocast: bool,
    as_product: bool,
) -> None:
    monkeypatch.setattr(conv, "cpu_flags", lambda: {"amx_bf16"} if tiles else set())
    layer, x = Conv3x3(4, 4), torch.randn(images, 4, side, side)
    context: AbstractContextManager[object] = nullcontext()
    if autocast:
        context = torch.autocast("cpu", torch.bfloat16)
    with context:
        layer(x)
    assert bool(products) == as_product
    assert {dtype for _, dtype in products} <= {torch.bfloat16 if autocast else torch.float32}


def test_nothing_but_training_and_no_stride_takes_a_product(
    products: list[tuple[torch.Size, torch.dtype]],
) -> None:
    x = torch.randn(64, 4, 2, 2)
    assert Conv3x3(4, 4, stride=2)(x).shape == (64, 4, 1, 1)
    with torch.inference_mode():
        Conv3x3(4, 4)(x)
    assert not products


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
