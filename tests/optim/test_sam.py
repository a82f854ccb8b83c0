"""SAM and ASAM against slow twins written from the papers, and what they survive."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from optim_problems import Loss, closure_of, equal, network, take, weights
from torch import Tensor, nn

from fallline.errors import ConfigError, Diverged
from fallline.optim.build import build

SHARP = ["sam", "asam"]


def literal_sam(model: nn.Module, loss: Loss, steps: int, lr: float, rho: float) -> None:
    """Foret et al. 2021, algorithm 1, with plain gradient descent, one number at a time."""
    for _ in range(steps):
        w = list(model.parameters())
        g = torch.autograd.grad(loss(), w)
        length = math.sqrt(sum(float((x.double() ** 2).sum()) for x in g))
        shifted_gradient(model, loss, [rho * x / length for x in g], lr)


def literal_asam(model: nn.Module, loss: Loss, steps: int, lr: float, rho: float) -> None:
    """Kwon et al. 2021, algorithm 1, with η = 0.01."""
    for _ in range(steps):
        w = list(model.parameters())
        g = torch.autograd.grad(loss(), w)
        t = [p.detach().abs() + 0.01 for p in w]
        products = zip(t, g, strict=True)
        length = math.sqrt(sum(float(((a * b).double() ** 2).sum()) for a, b in products))
        epsilon = [rho * a * a * b / length for a, b in zip(t, g, strict=True)]
        shifted_gradient(model, loss, epsilon, lr)


def shifted_gradient(model: nn.Module, loss: Loss, epsilon: list[Tensor], lr: float) -> None:
    """w ← w - lr ∇L(w + ε), leaving the norms' statistics alone."""
    w = list(model.parameters())
    kept = {name: b.clone() for name, b in model.named_buffers()}
    at = [p.detach().clone() for p in w]
    with torch.no_grad():
        for p, e in zip(w, epsilon, strict=True):
            p.add_(e)
    g = torch.autograd.grad(loss(), w)
    with torch.no_grad():
        for p, a, x in zip(w, at, g, strict=True):
            p.copy_(a - lr * x)
        for name, buffer in model.named_buffers():
            buffer.copy_(kept[name])


@pytest.mark.parametrize(
    ("name", "literal", "rho"), [("sam", literal_sam, 0.05), ("asam", literal_asam, 0.5)]
)
def test_it_takes_the_steps_of_its_paper(name: str, literal: Any, rho: float) -> None:
    model, loss = network()
    plain = {"momentum": 0.0, "nesterov": False, "rho": rho}
    take(build(name, model, lr=0.1, weight_decay=0.0, options=plain), loss, 5)
    twin, twin_loss = network()
    literal(twin, twin_loss, 5, 0.1, rho)
    for ours, theirs in zip(weights(model), weights(twin), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("base", ["adamw", "muon", "adadelta", "rmsprop"])
def test_it_wraps_any_base(base: str) -> None:
    model, loss = network()
    optimizer = build("sam", model, options={"base": base})
    first = take(optimizer, loss, 1)
    assert take(optimizer, loss, 20) < first
    assert {"head", "bias"} <= {group["role"] for group in optimizer.param_groups}


def test_a_base_that_calls_its_closure_again_is_refused() -> None:
    with pytest.raises(ConfigError, match="sam cannot hold this optimizer as its base"):
        build("sam", network()[0], options={"base": "lbfgs"})


def test_an_option_that_both_have_is_the_bases_with_a_prefix() -> None:
    chosen = {"base": "adadelta", "rho": 0.2, "base_rho": 0.8}
    optimizer: Any = build("sam", network()[0], options=chosen)
    assert optimizer.rho == 0.2
    assert all(group["rho"] == 0.8 for group in optimizer.param_groups)


@pytest.mark.parametrize("name", SHARP)
@pytest.mark.parametrize("base", ["sgd", "adamw", "radam", "muon"])
@pytest.mark.parametrize("bad_pass", [0, 1])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_moves_no_weight(
    name: str, base: str, bad_pass: int, bad: float
) -> None:
    model, loss = network()
    optimizer = build(name, model, options={"base": base})
    take(optimizer, loss, 1)
    before = [p.detach().clone() for p in model.parameters()]
    passes = 0

    def poisoned() -> Tensor:
        nonlocal passes
        value = closure_of(optimizer, loss)()
        if passes == bad_pass:
            model.conv.weight.grad.view_as(model.conv.weight)[0, 0, 0, 0] = bad  # type: ignore[union-attr]
        passes += 1
        return value

    optimizer.step(poisoned)  # type: ignore[arg-type]
    assert passes == 2
    assert equal(before, [p.detach() for p in model.parameters()])
    take(optimizer, loss, 2)
    assert all(torch.isfinite(p).all() for p in model.parameters())


@pytest.mark.parametrize("name", SHARP)
@pytest.mark.parametrize("bad_pass", [0, 1])
def test_a_loss_that_is_not_finite_moves_no_weight(name: str, bad_pass: int) -> None:
    model, loss = network()
    optimizer = build(name, model)
    before = [p.detach().clone() for p in model.parameters()]
    passes = 0

    def poisoned() -> Tensor:
        nonlocal passes
        value = closure_of(optimizer, loss)()
        passes += 1
        return value * math.inf if passes == bad_pass + 1 else value

    optimizer.step(poisoned)  # type: ignore[arg-type]
    assert equal(before, [p.detach() for p in model.parameters()])


@pytest.mark.parametrize("name", SHARP)
@pytest.mark.parametrize("bad_pass", [0, 1])
def test_a_closure_that_raises_leaves_the_weights_unperturbed(name: str, bad_pass: int) -> None:
    model, loss = network()
    optimizer = build(name, model)
    take(optimizer, loss, 1)
    before = [p.detach().clone() for p in model.parameters()]
    passes = 0

    def diverges() -> Tensor:
        nonlocal passes
        if passes == bad_pass:
            raise Diverged("the loss is not finite")
        passes += 1
        return closure_of(optimizer, loss)()

    with pytest.raises(Diverged):
        optimizer.step(diverges)  # type: ignore[arg-type]
    assert equal(before, [p.detach() for p in model.parameters()])
    assert model.norm.track_running_stats


def test_the_norms_statistics_follow_the_first_pass_only() -> None:
    model, loss = network()
    take(build("sam", model, options={"rho": 5.0}), loss, 1)
    once, once_loss = network()
    once_loss()
    assert equal(list(model.buffers()), list(once.buffers()))


def test_both_passes_drop_the_same_units() -> None:
    model, loss = network(dropout=0.5)
    optimizer = build("sam", model, options={"rho": 1e-9})
    losses = []

    def watched() -> Tensor:
        value = closure_of(optimizer, loss)()
        losses.append(value.item())
        return value

    for _ in range(2):
        optimizer.step(watched)  # type: ignore[arg-type]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert losses[2] == pytest.approx(losses[3], abs=1e-6)
    assert abs(losses[0] - losses[2]) > 1e-3


def test_a_step_uses_as_many_random_numbers_as_its_base() -> None:
    after = []
    for name in ("sgd", "sam"):
        model, loss = network(dropout=0.5)
        take(build(name, model), loss, 2)
        after.append(torch.rand(3))
    assert torch.equal(*after)


def test_weights_without_a_gradient_are_left_alone() -> None:
    model, loss = network()
    optimizer = build("sam", model)
    model.linear.weight.requires_grad_(False)
    before = model.linear.weight.detach().clone()
    take(optimizer, loss, 2)
    assert torch.equal(before, model.linear.weight)
