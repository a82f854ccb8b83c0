"""The convolution by a matrix product: torch's numbers, and only where it is quicker."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fallline.models import conv
from fallline.models.conv import Conv3x3, Product

MAPS = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 4), (3, 3), (2, 5), (7, 7)]


def example(height: int, width: int, images: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, weights and the gradient of the outputs, in float64."""
    draw = torch.Generator().manual_seed(0)
    shapes = (images, 6, height, width), (5, 6, 3, 3), (images, 5, height, width)
    x, weight, gradient = (torch.randn(s, generator=draw, dtype=torch.float64) for s in shapes)
    return x.requires_grad_(), weight.requires_grad_(), gradient


@pytest.mark.parametrize(("height", "width"), MAPS)
def test_the_product_has_the_convolutions_values_and_gradients(height: int, width: int) -> None:
    x, weight, gradient = example(height, width)
    ours, theirs = Product.apply(x, weight), F.conv2d(x, weight, padding=1)
    torch.testing.assert_close(ours, theirs)
    of_ours = torch.autograd.grad(ours, (x, weight), gradient)
    of_theirs = torch.autograd.grad(theirs, (x, weight), gradient)
    torch.testing.assert_close(of_ours, of_theirs)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The dtype of every input that went the other way."""
    seen: list[torch.dtype] = []

    class Noted(Product):
        @classmethod
        def apply(cls, x: Tensor, weight: Tensor) -> Tensor:
            seen.append(x.dtype)
            y: Tensor = Product.apply(x, weight)
            return y

    monkeypatch.setattr(conv, "Product", Noted)
    return seen


@pytest.mark.parametrize(
    ("images", "side", "autocast", "product"),
    [
        (32, 2, False, True),
        (32, 1, True, True),
        (31, 2, False, False),  # laying the weights out would take longer
        (128, 3, True, False),
    ],
)
def test_it_is_a_product_where_that_is_quicker(
    taken: list[torch.dtype], images: int, side: int, autocast: bool, product: bool
) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        Conv3x3(4, 4)(torch.randn(images, 4, side, side))
    assert taken == ([torch.bfloat16 if autocast else torch.float32] if product else [])


def test_only_training_without_stride_is_a_product(taken: list[torch.dtype]) -> None:
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
