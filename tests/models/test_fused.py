"""The kernels of our own: torch's numbers but for rounding, and only where they serve."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from fallline.machine import cpu_flags
from fallline.models import fused
from fallline.models import kernels as native
from fallline.models.conv import Conv3x3
from fallline.models.convnet import WhiteningStem
from fallline.models.kernels import (
    AMX,
    AVX512,
    OPTIONS,
    SOURCES,
    WAYS,
    Found,
    Lacking,
    able,
    compiled,
    kernels,
    opened,
    serving,
    sources_of,
)
from fallline.models.layers import conv_norm_act
from fallline.models.table import MODELS
from fallline.openmp import openmp
from fallline.registry import load

BF16 = torch.bfloat16
MORE = {"amx": 1.2, "avx512": 12}  # times torch's error: by vectors factors are rounded, too
ROUNDS = {"amx": 0.0, "avx512": 0.016}  # norm of the error of what needs no rounding, of its own
TEAM = ("GOMP_parallel", "omp_get_thread_num")  # what the kernels take of OpenMP
SHAPES = [  # images, channels in and out, height, width
    (32, 24, 32, 9, 9),
    (33, 16, 16, 1, 1),
    (32, 16, 32, 1, 5),
    (33, 24, 16, 6, 1),
    (47, 32, 48, 2, 3),
    (64, 48, 96, 5, 4),
    (40, 64, 32, 3, 6),
    (50, 8, 80, 8, 7),
    (36, 40, 16, 6, 19),
    (34, 96, 64, 13, 2),
    (32, 56, 16, 2, 2),  # 14 columns in a tile
    (32, 16, 176, 3, 3),
    (33, 16, 16, 41, 41),  # more than stays in the cache: several bands, and portions of sums
    (96, 64, 64, 15, 15),
    (32, 80, 96, 3, 3),  # squares of blocks of channels, several both ways
    (32, 160, 144, 2, 2),  # sums that take more memory than factors
    (200, 32, 32, 9, 9),  # chunks of several blocks of images, and one of fewer
]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to multiply that this CPU has; the kernels compute by it."""
    name: str = request.param
    missing = WAYS[name].keys() - cpu_flags()
    if missing or shutil.which(os.environ.get("CC", "cc")) is None:
        pytest.skip(f"they need a C compiler and a CPU with {', '.join(sorted(missing))}")
    found = opened(name)
    monkeypatch.setattr(native, "_found", lambda: found)
    return name


there = pytest.mark.usefixtures("way")


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    torch.set_num_threads(count)
    return count


def layers(inputs: int, outputs: int) -> tuple[Conv3x3, nn.BatchNorm2d]:
    torch.manual_seed(inputs + outputs)
    norm = nn.BatchNorm2d(outputs, momentum=0.3)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.normal_(norm.bias)
    conv = Conv3x3(inputs, outputs)
    with torch.no_grad():  # else another cell may be the largest before and after rounding
        conv.weight.copy_(conv.weight.to(BF16))
    return conv, norm


def rounded(*shape: int) -> Tensor:
    """Numbers that bfloat16 holds, in float32."""
    return torch.randn(shape).to(BF16).float()


def laid_out(x: Tensor) -> Tensor:
    """As a layer of the kernels leaves it."""
    return fused.maps(fused.cells(x))


Results = dict[str, Tensor]


def one_pass(
    way: str,
    conv: Conv3x3,
    norm: nn.BatchNorm2d,
    activation: nn.Module,
    pooled: bool,
    inputs: tuple[Tensor, Tensor | None, Tensor],
) -> Results:
    """Output, gradients and running statistics, by the kernels, by torch, or exactly."""
    conv, norm = deepcopy(conv), deepcopy(norm)
    x, plus, gradient = (None if t is None else t.clone() for t in inputs)
    assert x is not None
    if way == "exact":
        conv, norm, x = conv.double(), norm.double(), x.double()
        plus = None if plus is None else plus.double()
    else:
        x = laid_out(x)
    x.requires_grad_()
    if plus is not None:
        plus.requires_grad_()
    with (
        torch.autocast("cpu", BF16, enabled=way != "exact"),
        pytest.MonkeyPatch.context() as patch,
    ):
        if way != "kernels":
            patch.setattr(fused, "serve", lambda x: False)
        assert fused.Layer(conv, norm, activation, pooled).serves(x) == (way == "kernels")
        y = conv_norm_act(x, conv, norm, activation, pooled=pooled, plus=plus)
    y.backward(gradient.to(y.dtype))  # type: ignore[union-attr, no-untyped-call]
    found = {
        "y": y.detach(),
        "x": x.grad,
        "weight": conv.weight.grad,
        "norm.weight": norm.weight.grad,
        "norm.bias": norm.bias.grad,
        "plus": None if plus is None else plus.grad,
        "running mean": norm.running_mean,
        "running variance": norm.running_var,
    }
    return {name: value.double() for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("activation", "pooled", "adds"),
    [
        (nn.ReLU(), False, True),
        (nn.SiLU(), True, False),
        (nn.SiLU(), False, True),
        (nn.GELU(), False, False),
        (nn.GELU(), True, True),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernels_are_right_but_for_rounding(
    way: str,
    shape: tuple[int, int, int, int, int],
    pooled: bool,
    adds: bool,
    activation: nn.Module,
) -> None:
    images, inputs, outputs, height, width = shape
    pooled = pooled and min(height, width) > 1
    sides = (height // 2, width // 2) if pooled else (height, width)
    conv, norm = layers(inputs, outputs)
    of = images, outputs, *sides
    given = rounded(images, inputs, height, width), rounded(*of) if adds else None, rounded(*of)
    ours, theirs, exact = (
        one_pass(by, conv, norm, activation, pooled, given) for by in ("kernels", "torch", "exact")
    )
    assert ours.keys() == theirs.keys() == exact.keys()
    chooses = isinstance(activation, nn.ReLU) or (pooled and way == "avx512")
    slack = 0.07 if chooses else 2e-3  # some cells are on its other side, or others the largest
    for name, value in exact.items():
        scale = exact["running variance"].sqrt() if name == "running mean" else value
        error, allowed = ((r[name] - value).norm() / scale.norm() for r in (ours, theirs))
        assert error < MORE[way] * allowed + slack, name


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_needs_no_rounding_is_convolved_exactly_by_tiles_and_nearly_by_vectors(
    way: str, shape: tuple[int, int, int, int, int], threads: int
) -> None:
    images, inputs, outputs, height, width = shape
    torch.manual_seed(0)
    x = (torch.rand(images, inputs, height, width) < 0.2) * 1.0
    weight = torch.randint(-1, 2, (outputs, inputs, 3, 3)).float()
    exact = F.conv2d(x, weight, padding=1)
    assert exact.abs().max() <= 256  # integers beyond it bfloat16 rounds
    z, chosen = fused._convolve(fused.cells(x), weight, pooled=False)
    assert chosen is None
    assert_nearly(fused.maps(z), exact, way)


def assert_nearly(found: Tensor, exact: Tensor, way: str) -> None:
    """All of it but for rounding, and no single value wrong by more than eight deviations."""
    error = found.float() - exact
    assert error.norm() <= ROUNDS[way] * exact.norm()
    assert error.abs().max() <= 8 * ROUNDS[way] * exact.square().mean().sqrt()


@pytest.mark.parametrize("shape", [s for s in SHAPES if min(s[3:]) > 1], ids=str)
def test_the_largest_of_four_is_the_first_of_equals_and_takes_the_gradient(
    way: str,
    shape: tuple[int, int, int, int, int],
) -> None:
    images, inputs, outputs, height, width = shape
    torch.manual_seed(1)
    x = (torch.rand(images, inputs, height, width) < 0.1) * 1.0
    weight = torch.randint(-1, 2, (outputs, inputs, 3, 3)).float()
    z, chosen = fused._convolve(fused.cells(x), weight, pooled=True)
    assert chosen is not None
    rows, columns = 2 * (height // 2), 2 * (width // 2)
    full = fused.maps(unpooled(x, weight, rows, columns)).float()
    pooled, places = F.max_pool2d(full, 2, return_indices=True)
    assert torch.equal(fused.maps(z).float(), pooled)
    row, column = places // columns, places % columns
    cell = fused.maps(chosen).long()
    if way == "amx":
        assert torch.equal(cell, 2 * (row % 2) + column % 2)
    row, column = row // 2 * 2 + cell // 2, column // 2 * 2 + cell % 2
    places = row * columns + column  # of others that are the largest, too, once they are rounded
    assert torch.equal(full.flatten(2).gather(2, places.flatten(2)), pooled.flatten(2))
    of_z = torch.randint(-2, 3, pooled.shape).float()
    of_full = F.max_unpool2d(of_z, places, [2, 2], output_size=(rows, columns))
    of_full = F.pad(of_full, (0, width - columns, 0, height - rows))
    assert_gradients(x, weight, fused.cells(of_z), chosen, of_full, way)


@there
def test_of_equals_the_first_is_the_largest() -> None:
    z, chosen = fused._convolve(
        torch.zeros(8, 8, 32, 16, dtype=BF16), torch.ones(16, 16, 3, 3), True
    )
    assert chosen is not None
    assert not z.any()
    assert not chosen.any()


def unpooled(x: Tensor, weight: Tensor, rows: int, columns: int) -> Tensor:
    """The first rows and columns of the convolution of x (B, C, H, W), (rows, columns, B, O)."""
    z = torch.empty(rows, columns, len(x), len(weight), dtype=BF16)
    sides, channels = (rows, columns), weight.shape[1::-1]
    packed = fused._packed(weight, sides, flipped=False)
    sizes = len(x), *x.shape[2:], *sides, *channels
    fused._call("convolve", fused.cells(x), None, packed, z, None, *sizes)
    return z


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients_that_need_no_rounding_are_exact_by_tiles_and_nearly_by_vectors(
    way: str,
    shape: tuple[int, int, int, int, int],
) -> None:
    images, inputs, outputs, height, width = shape
    torch.manual_seed(2)
    x = (torch.rand(images, inputs, height, width) < 0.1) * 1.0
    weight = torch.randint(-1, 2, (outputs, inputs, 3, 3)).float()
    of_z = torch.randint(-2, 3, (images, outputs, height, width)).float()
    assert_gradients(x, weight, fused.cells(of_z), None, of_z, way)


def assert_gradients(
    x: Tensor, weight: Tensor, of_z: Tensor, chosen: Tensor | None, of_full: Tensor, way: str
) -> None:
    """By the kernels from cells `of_z`, by torch from `of_full`, (B, O, H, W), unpooled."""
    of_x = fused._convolve_back(of_z, chosen, weight, fused.cells(x))
    wanted = conv2d_input(x.shape, weight, of_full, padding=1)  # type: ignore[no-untyped-call]
    assert_nearly(fused.maps(of_x), wanted.to(BF16).float(), way)
    of_weight = fused._correlate(fused.cells(x), of_z, chosen)
    wanted = conv2d_weight(x, weight.shape, of_full, padding=1)  # type: ignore[no-untyped-call]
    assert_nearly(of_weight, wanted, way)


FENCE, POST = 64, 42  # elements around a kernel's room, and the number that stands there


def fenced(numbers: int, dtype: torch.dtype) -> Tensor:
    return torch.full((numbers + 2 * FENCE,), POST, dtype=dtype)[FENCE:-FENCE]


@there
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernels_write_nothing_beyond_the_room_that_they_ask_for(
    shape: tuple[int, int, int, int, int], pooled: bool
) -> None:
    images, inputs, outputs, *sides = shape
    factor = 1 + (pooled and min(sides) > 1)
    rows, columns = (factor * (side // factor) for side in sides)
    x, weight = fused.cells(rounded(images, inputs, *sides)), rounded(outputs, 3, 3, inputs)
    packed = fenced(fused._room("packed", rows, columns, outputs, inputs), BF16)
    fused._call("pack", weight, packed, rows, columns, outputs, inputs, False)
    flipped = fenced(fused._room("packed", *sides, inputs, outputs), BF16)
    fused._call("pack", weight, flipped, *sides, inputs, outputs, True)
    z = fenced(images * outputs * rows * columns // factor**2, BF16)
    chosen = fenced(len(z), torch.uint8) if factor > 1 else None
    sizes = images, *sides, rows, columns, inputs, outputs
    fused._call("convolve", x, None, packed, z, chosen, *sizes)
    of_x = fenced(x.numel(), BF16)
    back = images, rows, columns, *sides, outputs, inputs
    fused._call("convolve", z, chosen, flipped, of_x, None, *back)
    gradient = fenced(weight.numel(), torch.float32)
    space = fenced(fused._room("correlated", *sizes), torch.uint8)
    fused._call("correlate", x, z, chosen, gradient, space, *sizes)
    for room in (packed, flipped, z, chosen, of_x, gradient, space):
        if room is not None:
            whole = torch.as_strided(room, (len(room) + 2 * FENCE,), (1,), 0)
            assert (whole[:FENCE] == POST).all()
            assert (whole[-FENCE:] == POST).all()


@there
@pytest.mark.parametrize("sides", [(19, 9), (41, 41)], ids=str)  # chunks of images, of rows
def test_the_number_of_threads_changes_no_bit_of_a_convolution(sides: tuple[int, int]) -> None:
    def both() -> list[Tensor]:
        torch.manual_seed(0)
        x, weight = fused.cells(torch.randn(50, 32, *sides)), torch.randn(64, 32, 3, 3)
        computed = []
        for pooled in (False, True):
            z, chosen = fused._convolve(x, weight, pooled)
            back = fused._convolve_back(z, chosen, weight, x)
            computed += [z, back, fused._correlate(x, z, chosen)]
        return computed

    results = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        results.append(both())
    for one, other in pairwise(results):
        assert all(map(torch.equal, one, other))


@there
def test_threads_take_over_what_others_do_not_come_to() -> None:
    team = openmp()
    assert team is not None
    x, weight = fused.cells(torch.randn(64, 32, 9, 9)), torch.randn(48, 32, 3, 3)
    alone, _ = fused._convolve(x, weight, pooled=False)
    levels = team.omp_get_max_active_levels()
    torch.set_num_threads(3)
    team.omp_set_max_active_levels(0)  # the first thread's share is a third, and nobody else comes
    try:
        z, _ = fused._convolve(x, weight, pooled=False)
    finally:
        team.omp_set_max_active_levels(levels)
    assert torch.equal(z, alone)


@there
def test_a_nan_is_passed_on(threads: int) -> None:
    conv, norm = layers(16, 16)
    x = torch.randn(32, 16, 4, 4)
    x[3, 2, 1, 1] = torch.nan
    with torch.autocast("cpu", BF16):
        y = conv_norm_act(laid_out(x), conv, norm, nn.GELU(), pooled=True)
    assert y.isnan().all()
    assert norm.running_mean is not None
    assert norm.running_mean.isnan().all()


def test_nan_is_the_largest_of_four_as_in_torch(way: str) -> None:
    x = torch.zeros(32, 16, 8, 8)
    for image in range(32):  # at each place of a pooled cell
        x[image, image % 16, image % 8, image // 4] = torch.nan
    weight = torch.zeros(16, 16, 3, 3)
    weight[range(16), range(16), 1, 1] = 1  # a channel to itself
    x[:, :, ::3] += 1
    z, _ = fused._convolve(fused.cells(x), weight, pooled=True)
    wanted = F.max_pool2d(F.conv2d(x, weight, padding=1), 2)
    assert wanted.isnan().any()
    found = fused.maps(z).isnan()
    allowed = wanted
    if way == "avx512":  # may come to 4x4 outputs that are computed together, 2x2 of these
        allowed = F.interpolate(F.max_pool2d(wanted, 2), scale_factor=2)
    assert (found >= wanted.isnan()).all()
    assert (found <= allowed.isnan()).all()


@there
def test_a_nan_of_a_gradient_is_passed_on() -> None:
    x, weight = rounded(32, 16, 4, 4), rounded(16, 16, 3, 3)
    of_z = torch.randn(32, 16, 4, 4)
    of_z[3, 2, 1, 1] = torch.nan
    back = fused.maps(fused._convolve_back(fused.cells(of_z), None, weight, fused.cells(x)))
    assert back[3, :, :3, :3].isnan().all()
    assert not back[[*range(3), *range(4, 32)]].isnan().any()
    of_weight = fused._correlate(fused.cells(x), fused.cells(of_z), None)
    assert of_weight[2].isnan().all()
    assert not of_weight[[*range(2), *range(3, 16)]].isnan().any()


ACTIVATIONS = pytest.mark.parametrize("activation", [nn.ReLU(), nn.SiLU(), nn.GELU()], ids=str)


@there
@ACTIVATIONS
@pytest.mark.parametrize("adds", [False, True])
def test_norm_and_activation_are_exact_but_for_the_last_bit(
    activation: nn.Module, adds: bool
) -> None:
    torch.manual_seed(0)
    shape = 7, 9, 33, 48  # rows that are no multiple of what is summed at a time
    z, given = (torch.randn(shape).mul(3).add(1).to(BF16) for _ in range(2))
    plus = torch.randn(shape).to(BF16) if adds else None
    _, norm = layers(16, 48)
    kept = fused._take_statistics(z, norm)
    exact = z.double().requires_grad_()
    weight, bias = norm.weight.detach().double(), norm.bias.detach().double()
    weight.requires_grad_()
    bias.requires_grad_()
    rows = exact.flatten(0, 2)
    summed = F.batch_norm(rows, None, None, weight, bias, True, 0, norm.eps).view(shape)
    summed = summed + 0 if plus is None else summed + plus.double()
    summed.retain_grad()
    wanted = activation(summed)
    wanted.backward(given.double())
    mean, inverse = rows.mean(0), (rows.var(0, unbiased=False) + norm.eps).rsqrt()
    torch.testing.assert_close(kept[0].double(), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(kept[1].double(), inverse, rtol=1e-5, atol=0)
    kind, count = fused.KINDS[type(activation)], fused._rows(z)
    y, of_sum, of_z = (torch.empty_like(z) for _ in range(3))
    of_scale, of_bias = fused._floats(48), fused._floats(48)
    fused._call("activate", z, plus, y, kept, count, 48, kind)
    fused._call(
        "norm_gradient", z, plus, given, kept, of_sum, of_z, of_scale, of_bias,
        fused._totals(48), fused._floats(3, 48), count, 48, kind,
    )  # fmt: skip
    assert summed.grad is not None
    assert exact.grad is not None
    half = 2**-8 * 1.001  # of a bfloat16's last bit, relative to the number
    torch.testing.assert_close(y.double(), wanted.detach(), rtol=half, atol=1e-5)
    torch.testing.assert_close(of_sum.double(), summed.grad, rtol=half, atol=3e-5)
    torch.testing.assert_close(of_scale.double(), weight.grad, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(of_bias.double(), bias.grad, rtol=1e-4, atol=1e-2)
    scaled = weight.detach() * inverse.detach() * summed.grad
    error = (of_z.double() - exact.grad).abs()
    assert (error <= half * (exact.grad.abs() + scaled.abs()) + 1e-4).all()


@there
@ACTIVATIONS
def test_activations_of_the_largest_and_smallest_numbers_are_torchs(activation: nn.Module) -> None:
    x = torch.tensor([torch.inf, 3e38, 100, 14, 1e-30, 0, -1e-30, -14, -100, -1e30, torch.nan])
    z = x.to(BF16)[None, None, :, None].repeat(1, 1, 1, 16)
    kept = torch.tensor([0.0, 1, 1, 0])[:, None].repeat(1, 16)  # a norm that changes nothing
    y = torch.empty_like(z)
    fused._call("activate", z, None, y, kept, fused._rows(z), 16, fused.KINDS[type(activation)])
    wanted = activation(z.double()).to(BF16)
    torch.testing.assert_close(y, wanted, rtol=2**-7, atol=1e-6, equal_nan=True)


@there
def test_a_constant_channel_has_no_variance_below_zero() -> None:
    norm = nn.BatchNorm2d(16, eps=1e-12)
    z = torch.full((9, 9, 33, 16), 1000.0).to(BF16)
    kept = fused._take_statistics(z, norm)
    assert kept.isfinite().all()
    assert norm.running_var is not None
    assert (norm.running_var >= 0).all()


@there
@pytest.mark.parametrize("momentum", [0.1, None, 0])
@pytest.mark.parametrize("counted", [True, False])
def test_running_statistics_are_torchs(momentum: float | None, counted: bool) -> None:
    conv, norm = layers(16, 32)
    norm.momentum = momentum
    if not counted:
        norm.num_batches_tracked = None
    other = deepcopy(norm)
    for _ in range(3):
        x = rounded(40, 16, 3, 3)
        with torch.autocast("cpu", BF16):
            conv_norm_act(laid_out(x), conv, norm, nn.ReLU())
            other(conv(x))
    for ours, theirs in zip(norm.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@there
def test_statistics_that_are_not_tracked_leave_no_trace() -> None:
    conv, norm = layers(16, 32)
    before = deepcopy(norm.state_dict())
    norm.track_running_stats = False
    with torch.autocast("cpu", BF16):
        conv_norm_act(laid_out(rounded(40, 16, 3, 3)), conv, norm, nn.ReLU())
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


@there
def test_evaluation_goes_by_the_running_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    conv, norm = layers(24, 32)
    norm.running_mean, norm.running_var = torch.randn(32), torch.rand(32) + 0.5
    norm.eval()
    x = laid_out(rounded(40, 24, 6, 6))
    with torch.inference_mode(), torch.autocast("cpu", BF16):
        assert fused.Layer(conv, norm, nn.SiLU(), True).serves(x)
        ours = conv_norm_act(x, conv, norm, nn.SiLU(), pooled=True)
        monkeypatch.setattr(fused, "serve", lambda x: False)
        theirs = conv_norm_act(x, conv, norm, nn.SiLU(), pooled=True)
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=8e-2)


@there
@pytest.mark.parametrize("stride", [1, 2])
def test_the_stem_is_the_same_as_a_matrix_product(
    stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stem = WhiteningStem(3, stride)
    nn.init.normal_(stem.conv.get_parameter("bias"))
    x = rounded(40, 3, 8, 7)
    with torch.autocast("cpu", BF16):
        ours = stem(x)
        monkeypatch.setattr(fused, "serve", lambda x: False)
        torch.testing.assert_close(ours, stem(x))


@there
def test_torchs_own_products_are_right_after_a_kernel() -> None:
    conv, norm = layers(32, 32)
    a, b = torch.randint(-2, 3, (2, 200, 200)).to(BF16)
    exact = a.float() @ b.float()
    for _ in range(3):
        assert torch.equal(a @ b, exact.to(BF16))
        with torch.autocast("cpu", BF16):
            conv_norm_act(laid_out(rounded(33, 32, 5, 5)), conv, norm, nn.ReLU())
    assert torch.equal(a @ b, exact.to(BF16))


@there
@pytest.mark.parametrize(
    ("change", "serves"),
    [
        ({}, True),
        ({"images": 31}, False),
        ({"autocast": False}, False),
        ({"dtype": torch.float16}, False),
        ({"stride": 2}, False),
        ({"inputs": 12}, False),
        ({"outputs": 24}, False),
        ({"activation": nn.Tanh()}, False),
        ({"side": 1}, False),  # there is nothing to pool
        ({"activation": nn.GELU("tanh")}, False),
        ({"affine": False}, False),
        ({"conv": nn.Conv2d(16, 16, 1, bias=False)}, False),
        ({"training": False}, False),  # with gradients of running statistics
        ({"weights": BF16}, False),
    ],
    ids=str,
)
def test_they_serve_where_they_can(change: dict[str, Any], serves: bool) -> None:
    given: dict[str, Any] = {
        "images": 32, "inputs": 16, "outputs": 16, "side": 4, "stride": 1, "autocast": True,
        "dtype": BF16, "activation": nn.SiLU(), "training": True, "weights": torch.float32,
    } | change  # fmt: skip
    conv = Conv3x3(given["inputs"], given["outputs"], given["stride"])
    conv = given.get("conv", conv).to(given["weights"])
    norm = nn.BatchNorm2d(given["outputs"], affine=given.get("affine", True))
    norm.train(given["training"])
    x = laid_out(torch.randn(given["images"], given["inputs"], given["side"], given["side"]))
    with torch.autocast("cpu", given["dtype"], enabled=given["autocast"]):
        layer = fused.Layer(conv, norm, given["activation"], pooled=True)
        assert layer.serves(x) == serves


@there
def test_they_serve_no_tensor_without_memory_and_no_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = torch.randn(32, 16, 4, 4)
    with torch.autocast("cpu", BF16):
        assert fused.serve(x)
        with FakeTensorMode():
            assert not fused.serve(torch.empty(32, 16, 4, 4))
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        assert not fused.serve(x)


@there
def test_a_gradient_of_gradients_is_refused_instead_of_wrong() -> None:
    conv, norm = layers(16, 16)
    x = rounded(32, 16, 4, 4).requires_grad_()
    with torch.autocast("cpu", BF16):
        y = conv_norm_act(laid_out(x), conv, norm, nn.SiLU())
    (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(gradient.sum())


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path))
    return tmp_path / "kernels"


def test_without_a_compiler_there_are_none(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(
        Lacking, match="no C compiler no-such-compiler, which the variable CC names"
    ):
        compiled("amx")
    monkeypatch.setenv("CC", "false")  # a compiler that fails
    with pytest.raises(Lacking, match=r"false does not compile them .*: exit code 1"):
        compiled("amx")
    monkeypatch.setenv("CC", "gcc -D'")
    with pytest.raises(Lacking, match="the variable CC is no command: No closing quotation"):
        compiled("amx")
    monkeypatch.setenv("CC", "sh -c 'echo x.c:1: error: no such header >&2; exit 1'")
    with pytest.raises(Lacking, match=r"x.c:1: error: no such header"):
        compiled("amx")
    assert not list(empty_cache.iterdir())


def test_a_cache_that_cannot_be_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("CC", "true")
    with pytest.raises(Lacking, match=r"Not a directory.*FALLLINE_CACHE"):
        compiled("amx")


def test_without_the_instructions_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "cpu_flags", lambda: frozenset({"avx512_bf16"}))
    found = native._found.__wrapped__()
    assert found.library is None
    assert "a CPU with avx512_bf16, avx512bw" in found.why


@pytest.mark.parametrize("granted", [True, False])
@pytest.mark.parametrize(("flags", "best"), [(AMX, "amx"), (AVX512, "avx512")], ids=str)
def test_tiles_go_before_vectors_where_linux_grants_them(
    flags: dict[str, str], best: str, granted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_if_granted(way: str) -> Found:
        if way == "amx" and not granted:
            raise Lacking("no tiles")
        return Found(way=way)

    monkeypatch.setattr(native, "cpu_flags", lambda: frozenset({*flags, "avx2"}))
    monkeypatch.setattr(native, "opened", open_if_granted)
    found = native._found.__wrapped__()
    monkeypatch.setattr(native, "_found", lambda: found)
    assert found.way == (best if granted else "avx512")
    assert found.why == ("" if found.way == best else "no tiles")
    assert found.way in able()


def test_tiles_that_linux_refuses_are_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = SimpleNamespace(kernel_open=lambda *passed: 1)
    monkeypatch.setattr(native, "compiled", lambda way: Path("kernels.so"))
    monkeypatch.setattr("ctypes.CDLL", lambda path: refusing)
    monkeypatch.setattr(native, "openmp", lambda: SimpleNamespace(**dict.fromkeys(TEAM)))
    with pytest.raises(Lacking, match="Linux does not grant"):
        opened("amx")


def test_a_library_that_cannot_be_loaded_is_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kernels.so").write_text("not a library")
    monkeypatch.setattr(native, "compiled", lambda way: tmp_path / "kernels.so")
    monkeypatch.setattr(native, "openmp", lambda: SimpleNamespace(**dict.fromkeys(TEAM)))
    with pytest.raises(Lacking, match=r"kernels.so.*FALLLINE_CACHE=FOLDER moves it"):
        opened("avx512")


def test_without_torchs_own_threads_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "openmp", lambda: None)
    with pytest.raises(Lacking, match="libgomp"):
        opened("amx")


def test_why_there_are_none_is_told_of_cpus_that_could_have_them_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(native, "_found", lambda: Found(why="no compiler"))
    assert kernels() is None
    for flags, why in ((frozenset(AVX512), "no compiler"), (frozenset({"avx2"}), "")):
        monkeypatch.setattr(native, "cpu_flags", lambda flags=flags: flags)
        assert native.why_lacking() == why


@pytest.mark.parametrize(
    ("model", "options", "images", "suits"),
    [
        ("convnet", {}, 32, True),
        ("convnet", {}, 31, False),
        ("convnet", {"activation": "tanh"}, 32, False),
        ("convnet", {"widths": (20, 20, 20)}, 32, False),
        ("resnet18", {}, 32, True),
        ("resnet20", {"width": 16}, 32, True),
        ("mlp", {}, 32, False),
    ],
    ids=str,
)
def test_a_net_suits_them_if_they_would_serve_a_layer_of_it(
    model: str, options: dict[str, Any], images: int, suits: bool
) -> None:
    net = load(MODELS[model].target)((3, 32, 32), 10, **options)
    assert fused.suit(net, images) == suits


@there
@pytest.mark.parametrize(
    ("options", "side"),
    [
        ({}, 32),
        ({"whitening": False}, 32),
        ({}, 96),  # the stem pools
        ({"activation": "tanh"}, 32),
        ({"widths": (20, 32, 32)}, 32),
    ],
    ids=str,
)
def test_a_convnet_lays_out_what_kernels_serve_and_nothing_else(
    options: dict[str, Any], side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = load(MODELS["convnet"].target)((3, side, side), 10, **{"widths": (16,) * 3} | options)
    served: list[bool] = []
    serves = fused.Layer.serves

    def noted(layer: fused.Layer, x: Tensor) -> bool:
        served.append(serves(layer, x))
        return served[-1]

    monkeypatch.setattr(fused.Layer, "serves", noted)
    stem: list[Tensor] = []
    net.stem.register_forward_hook(lambda module, given, output: stem.append(output))
    with torch.autocast("cpu", BF16):
        net(torch.randn(32, 3, side, side)).sum().backward()
    assert len(served) == 6
    assert any(served) == fused.suit(net, 32)
    by_the_stem = net.lays_out and side == 32 and "whitening" not in options
    assert stem[0].permute(2, 3, 0, 1).is_contiguous() == by_the_stem


def test_they_are_compiled_once_and_not_loaded_if_others_could_have_written_them(
    way: str, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o002)  # as for users with a group of their own
    try:
        file = compiled(way)
    finally:
        os.umask(before)
    assert list(empty_cache.iterdir()) == [file]
    monkeypatch.setenv("PATH", "")
    assert compiled(way) == file  # nothing is needed but the file

    def is_refused() -> bool:
        with pytest.raises(Lacking, match="no C compiler"):
            compiled(way)
        return True

    file.chmod(0o770)
    assert is_refused()
    file.chmod(0o700)
    empty_cache.chmod(0o777)
    assert is_refused()
    empty_cache.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(Lacking, match="no C compiler"):
        compiled(way)  # it is another user's
    monkeypatch.undo()
    monkeypatch.setenv("FALLLINE_CACHE", str(empty_cache.parent))
    monkeypatch.setenv("PATH", "")
    there = file.rename(empty_cache / "elsewhere.so")
    file.symlink_to(there)
    assert is_refused()


def test_what_is_compiled_where_others_may_write_is_not_loaded(
    way: str, empty_cache: Path
) -> None:
    empty_cache.mkdir()
    empty_cache.chmod(0o777)
    with pytest.raises(Lacking, match=r"others may write there: chmod go-w"):
        compiled(way)


def test_a_damaged_library_is_compiled_anew(way: str, empty_cache: Path) -> None:
    file = compiled(way)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])  # who loads it is ended by SIGBUS
    assert compiled(way) == file
    assert file.read_bytes() == whole


def test_a_compiler_that_hangs_is_ended(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "sh -c 'sleep 600' sh")
    monkeypatch.setattr(native, "SECONDS", 0.1)
    began = time.monotonic()
    with pytest.raises(Lacking, match=r"longer than 0.1 s"):
        compiled("amx")
    assert time.monotonic() - began < 60
    assert not list(empty_cache.iterdir())


@pytest.mark.parametrize(("name", "file"), [("PIECES", "norm.c")])
def test_the_room_made_for_the_kernels_is_what_they_fill(name: str, file: str) -> None:
    (number,) = re.findall(rf"\b{name} = (\d+)", (SOURCES / file).read_text())
    assert getattr(fused, name) == int(number)


def test_no_batch_has_fewer_images_than_the_kernels_take_at_a_time() -> None:
    (tile,) = re.findall(r"\bTILE = (\d+)", (SOURCES / "shared.h").read_text())
    assert int(tile) <= fused.IMAGES


def test_processes_that_compile_at_once_find_one_library(way: str, empty_cache: Path) -> None:
    words = f"from fallline.models.kernels import opened; assert opened({way!r})"
    both = [subprocess.Popen([sys.executable, "-c", words]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert list(empty_cache.iterdir()) == [compiled(way)]


CHANGING_TEAMS = """
import ctypes, sys
import torch
from torch import nn
from fallline.models import kernels as native
from fallline.models.conv import Conv3x3
from fallline.models.layers import conv_norm_act
from fallline.openmp import openmp

found, team = native.opened(sys.argv[1]), openmp()
native._found = lambda: found
torch.set_num_threads(3)
nothing = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
layer = Conv3x3(64, 64), nn.BatchNorm2d(64), nn.ReLU()
x = torch.randn(64, 64, 16, 16)
for i in range(60):
    if i == 20:
        before = int(open("/proc/self/statm").read().split()[1])
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        conv_norm_act(x, *layer)
    team.GOMP_parallel(nothing, None, 2, 0)  # a team of two: the third thread ends
print(4096 * (int(open("/proc/self/statm").read().split()[1]) - before))
"""


def test_threads_that_end_give_their_memory_back(way: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", CHANGING_TEAMS, way]
    patient = {**os.environ, "OMP_WAIT_POLICY": "passive"}  # three threads, maybe on fewer cores
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=patient)
    assert int(done.stdout) < 3e6  # 40 threads with their memory would hold 9e6


def test_kernels_are_named_by_their_way_and_by_what_was_compiled(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = serving()
    assert re.fullmatch(rf"{way} [0-9a-f]{{8}}", name)
    shutil.copytree(SOURCES, tmp_path / "native")
    monkeypatch.setattr(native, "SOURCES", tmp_path / "native")
    assert opened(way) == Found(ANY, *name.split())
    monkeypatch.setattr(native, "OPTIONS", ("-O1", "-fPIC", "-shared"))  # they are soon compiled
    otherwise = opened(way).digest
    with (tmp_path / "native" / "norm.c").open("a") as file:
        file.write("EXPORTED int more(void) { return 1; }\n")
    assert len({name.split()[1], otherwise, opened(way).digest}) == 3
    monkeypatch.setattr(native, "_found", lambda: Found(why="no compiler"))
    assert serving() == "none"


def test_they_compile_without_a_warning(way: str, tmp_path: Path) -> None:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    assert compiler is not None
    sources = [str(file) for file in sources_of(way) if file.suffix == ".c"]
    strict = ["-Wall", "-Wextra", "-Werror"]
    command = [
        compiler,
        *WAYS[way].values(),
        *OPTIONS,
        *strict,
        "-o",
        str(tmp_path / "kernels.so"),
        *sources,
    ]
    subprocess.run(command, check=True)
