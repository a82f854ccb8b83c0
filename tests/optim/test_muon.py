"""Muon against a slow twin written from its author's post, and its shell of two optimizers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from optim_problems import Loss, closure_of, network, take, weights
from torch import Tensor, nn

from fallline.errors import ConfigError
from fallline.optim import muon
from fallline.optim.build import build
from fallline.optim.muon import A, B, C, orthogonalize
from fallline.optim.schedule import set_lr


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newton-Schulz in fp32 on any machine, to compare to fp32 twins."""
    monkeypatch.setattr(muon, "native_type", lambda device: torch.float32)


def literal_newton_schulz(g: Tensor, steps: int) -> Tensor:
    """https://kellerjordan.github.io/posts/muon/, one matrix."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm() + 1e-7)
    if g.size(0) > g.size(1):
        x = x.T
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.T if g.size(0) > g.size(1) else x
    return result


def literal_muon(model: nn.Module, loss: Loss, steps: int, lr: float, decay: float) -> None:
    """Muon on every weight but the head's, the rest untouched; filters kept at norm √C_out."""
    mine = [p for n, p in model.named_parameters() if p.ndim > 1 and not n.startswith("head")]
    momentum = {p: torch.zeros_like(p) for p in mine}
    for _ in range(steps):
        gradients = torch.autograd.grad(loss(), mine)
        with torch.no_grad():
            for p, g in zip(mine, gradients, strict=True):
                momentum[p] = 0.6 * momentum[p] + g  # airbench94_muon: no factor 1 - μ
                u = (g + 0.6 * momentum[p]).contiguous().reshape(len(p), -1)
                if p.ndim == 4:
                    p.mul_(math.sqrt(len(p)) / p.norm())
                p.mul_(1 - lr * decay)
                scale = math.sqrt(max(1, u.size(0) / u.size(1)))
                p.add_(literal_newton_schulz(u, 3).reshape(p.shape), alpha=-lr * scale)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("format", [torch.channels_last, torch.contiguous_format])
def test_it_takes_the_steps_of_its_paper(format: torch.memory_format) -> None:
    model, loss = network()
    model.to(memory_format=format)
    frozen = {"rest": "sgd", "rest_lr": 1e-12, "rest_weight_decay": 0.0}
    take(build("muon", model, lr=0.1, weight_decay=0.01, options=frozen), loss, 5)
    twin, twin_loss = network()
    literal_muon(twin, twin_loss, 5, 0.1, 0.01)
    for ours, theirs in zip(weights(model), weights(twin), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("exact")
def test_on_matrices_it_agrees_with_torchs_muon() -> None:
    finals = []
    for name in ("muon", "torch_muon"):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 8))
        x, y = torch.randn(32, 12), torch.randn(32, 8)
        optimizer = build(name, model, lr=0.02, options={"momentum": 0.9, "ns_steps": 5})
        take(optimizer, lambda m=model, x=x, y=y: ((m(x) - y) ** 2).mean(), 10)  # type: ignore[misc]
        finals.append(weights(model))
    for ours, theirs in zip(*finals, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.05, atol=6e-3)  # torch's is in bf16


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 40), (2, 40, 16), (1, 1, 5)])
def test_singular_values_come_near_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    singular = torch.linalg.svdvals(orthogonalize(torch.randn(shape), 5))
    assert singular.min() > 0.3
    assert singular.max() < 1.3


def test_matrices_in_one_batch_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    u = torch.randn(3, 8, 20)
    alone = torch.cat([orthogonalize(u[i : i + 1], 5) for i in range(3)])
    torch.testing.assert_close(orthogonalize(u, 5), alone, rtol=1e-4, atol=1e-5)


def test_a_gradient_of_zero_moves_nothing_and_stays_finite() -> None:
    assert torch.equal(orthogonalize(torch.zeros(1, 4, 6), 5), torch.zeros(1, 4, 6))


@pytest.mark.parametrize("shape", [(16, 24), (16, 40), (64, 576), (256, 64)], ids=str)
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 20])
def test_iterations_on_the_gram_matrix_are_those_on_the_matrix(
    shape: tuple[int, int], steps: int
) -> None:
    torch.manual_seed(0)
    u, s, v = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    u, v = u[None], v[None]
    values = s / s.norm()
    for _ in range(steps):
        values = A * values + B * values**3 + C * values**5
    given = (u * s) @ v
    torch.testing.assert_close(orthogonalize(given, steps), (u * values) @ v)


@pytest.mark.parametrize("smallest", [1e-1, 1e-2, 1e-4])
@pytest.mark.parametrize("steps", [3, 5, 8, 20])
def test_wide_matrices_stay_bounded_in_bf16(steps: int, smallest: float) -> None:
    torch.manual_seed(0)
    u, s, v = torch.linalg.svd(torch.randn(64, 576), full_matrices=False)
    s = torch.logspace(0, math.log10(smallest), 64)
    given = ((u * s) @ v)[None]
    singular = torch.linalg.svdvals(orthogonalize(given.bfloat16(), steps).float())
    assert singular.max() < 1.25


def test_bf16_and_fp32_agree_to_bf16s_precision() -> None:
    torch.manual_seed(0)
    u = torch.randn(1, 16, 64)
    coarse = orthogonalize(u.bfloat16(), 5).float()
    assert (coarse - orthogonalize(u, 5)).abs().max() < 0.05


def test_filters_keep_the_norm_of_their_count() -> None:
    model, loss = network()
    optimizer = build("muon", model)
    set_lr(optimizer, 0.0)
    take(optimizer, loss, 1)
    assert model.conv.weight.norm().item() == pytest.approx(math.sqrt(8), rel=1e-5)


def test_filters_may_keep_their_own_norm() -> None:
    model, loss = network()
    optimizer = build("muon", model, options={"normalize_filters": False})
    before = model.conv.weight.detach().clone()
    set_lr(optimizer, 0.0)
    take(optimizer, loss, 1)
    assert torch.equal(model.conv.weight, before)


@pytest.mark.parametrize("rest", ["adamw", "sgd"])
def test_the_rest_has_its_own_rate(rest: str) -> None:
    options: dict[str, Any] = {"rest": rest, "rest_lr": 0.01}
    optimizer = build("muon", network()[0], lr=0.2, lr_scale={"bias": 64}, options=options)
    rates = {group["role"]: group["lr"] for group in optimizer.param_groups}
    assert rates == {"matrix": 0.2, "filter": 0.2, "head": 0.01, "norm": 0.01, "bias": 0.64}


def test_the_schedule_still_holds_after_a_state_was_loaded() -> None:
    model, loss = network()
    optimizer = build("muon", model)
    optimizer.load_state_dict(optimizer.state_dict())
    set_lr(optimizer, 0.0)
    before = model.head.weight.detach().clone()
    optimizer.step(closure_of(optimizer, loss))  # type: ignore[arg-type]
    assert torch.equal(model.head.weight, before)


def test_a_model_without_what_it_takes_is_refused() -> None:
    with pytest.raises(ConfigError, match="torch_muon finds no parameters in this model"):
        build("torch_muon", nn.Sequential(nn.Conv2d(3, 4, 3)))


def test_a_model_without_a_rest_needs_no_second_optimizer() -> None:
    optimizer = build("muon", nn.Sequential(nn.Linear(3, 4, bias=False)))
    assert [group["role"] for group in optimizer.param_groups] == ["matrix"]


@pytest.mark.parametrize(
    ("rule", "rows", "columns", "wanted"),
    [
        ("original", 8, 2, 2.0),
        ("original", 2, 8, 1.0),
        ("match_rms_adamw", 4, 100, 2.0),
        ("match_rms_adamw", 100, 4, 2.0),
        ("none", 8, 2, 1.0),
    ],
)
def test_the_factor_of_a_shape(rule: str, rows: int, columns: int, wanted: float) -> None:
    assert muon.scale(rule, rows, columns) == pytest.approx(wanted)


@pytest.mark.parametrize(("nesterov", "wanted"), [(False, 2.0), (True, 2.5)])
def test_only_nesterov_looks_ahead(nesterov: bool, wanted: float) -> None:
    momentum, gradient = [torch.tensor([1.0])], [torch.tensor([3.0])]
    (update,) = muon.momentum_update(momentum, gradient, 0.5, nesterov=nesterov)
    assert update.item() == wanted
