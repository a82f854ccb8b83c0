"""What every row of the optimizer table keeps: known minima, references, repeats, resuming."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from optim_problems import (
    PROBLEMS,
    Loss,
    Problem,
    closure_of,
    equal,
    network,
    rosenbrock,
    take,
    through_a_file,
    weights,
)
from torch import nn

from fallline.errors import Diverged
from fallline.optim.build import build
from fallline.optim.groups import parameter_groups
from fallline.optim.row import ROLES, OptimizerRow
from fallline.optim.schedule import factor, set_lr
from fallline.optim.table import OPTIMIZERS
from fallline.registry import load

Build = Callable[[nn.Module], torch.optim.Optimizer]
STEPS = 120
SPREAD = (
    1.0,
    10.0,
    0.1,
    30.0,
    100.0,
    1000.0,
)  # times the row's own rate, as the problems differ in scale


def minimizes(build_with: Callable[[nn.Module, float], Any], lr: float, problem: Problem) -> bool:
    """Whether some rate closes 95 % of the gap to the known minimum."""
    for times in SPREAD:
        model, loss = problem.start()
        optimizer = build_with(model, lr * times)
        before = loss().item() - problem.lowest
        for step in range(STEPS):
            set_lr(optimizer, factor("linear", step, STEPS))
            optimizer.step(closure_of(optimizer, loss))
        if -1e-5 <= loss().item() - problem.lowest <= 0.05 * before:
            return True
    return False


def resumes(build_on: Build) -> bool:
    """Whether a run that went through a file in the middle ends with the same bits."""
    model, loss = network()
    optimizer = build_on(model)
    take(optimizer, loss, 3)
    saved = through_a_file({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    take(optimizer, loss, 4)

    again, loss_again = network()
    resumed = build_on(again)
    again.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["optimizer"])
    set_lr(resumed, 1.0)
    take(resumed, loss_again, 4)
    return equal(weights(model), weights(again))


def plain(name: str) -> dict[str, Any]:
    """Without weight decay, where the optimizer has any, so that the minimum stays put."""
    return {"weight_decay": 0.0} if "weight_decay" in decayed(name) else {}


def decayed(name: str) -> dict[str, Any]:
    row = OPTIMIZERS[name]
    return {"weight_decay": True} if row.wraps else row.options.model_fields


def rate(name: str) -> float:
    """The row's own learning rate; for SAM that of its base."""
    row = OPTIMIZERS[name]
    inner = OPTIMIZERS[row.options.model_fields["base"].default] if row.wraps else row
    value: float = inner.options.model_fields["lr"].default
    return value


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_every_optimizer_finds_known_minima(name: str, problem: Problem) -> None:
    if OPTIMIZERS[name].takes == ("matrix",) and problem.name == "filters":
        pytest.skip("takes matrices only")
    rest: dict[str, Any] = {"rest_lr": 0.03} if OPTIMIZERS[name].takes != ROLES else {}

    def with_rate(model: nn.Module, lr: float) -> torch.optim.Optimizer:
        return build(name, model, lr=lr, **plain(name), options=rest)

    assert minimizes(with_rate, rate(name), problem)


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_every_optimizer_goes_on_from_a_file_bit_by_bit(name: str) -> None:
    assert resumes(partial(build, name))


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_every_optimizer_repeats_bit_by_bit(name: str) -> None:
    def run() -> list[torch.Tensor]:
        model, loss = network()
        take(build(name, model), loss, 4)
        return weights(model)

    assert equal(run(), run())


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_every_optimizer_returns_the_loss_before_its_step(name: str) -> None:
    model, loss = network()
    optimizer = build(name, model)
    before = loss().detach()
    assert torch.equal(take(optimizer, loss, 1), before)


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS.names if n != "rprop"])
def test_every_optimizer_follows_the_schedule(name: str) -> None:
    """But for Rprop, which reads its rate once, as its first step size."""
    model, loss = network()
    optimizer = build(name, model, **plain(name))
    set_lr(optimizer, 0.0)
    before = [p.detach().clone() for p in model.parameters() if p.ndim != 4]
    take(optimizer, loss, 1)
    assert equal(before, [p.detach() for p in model.parameters() if p.ndim != 4])


def is_torchs(row: OptimizerRow) -> bool:
    """Whether torch has a class of the same name that takes groups; ours may stand around it."""
    known = hasattr(torch.optim, row.target.partition(":")[2])
    return known and row.inner is None and not row.one_group


@pytest.mark.parametrize("name", [r.name for r in OPTIMIZERS if is_torchs(r)])
def test_rows_of_torch_agree_with_torch(name: str) -> None:
    row = OPTIMIZERS[name]
    model, loss = network()
    take(build(name, model), loss, 5)

    twin, twin_loss = network()
    options = dict(row.options())
    lr, decay = options.pop("lr"), options.pop("weight_decay", None)
    groups = parameter_groups(twin, lr=lr, decays={"weight_decay": decay})
    for group in groups:
        group.update(
            {"lambd": 0.0} if name == "asgd" and group["role"] in ("norm", "bias") else {}
        )
    kind = getattr(torch.optim, load(row.target).__name__)
    take(kind(groups, foreach=False, **options), twin_loss, 5)
    for ours, theirs in zip(weights(model), weights(twin), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=2e-6)


def test_lbfgs_agrees_with_torch() -> None:
    model, loss = rosenbrock()
    take(build("lbfgs", model), loss, 3)
    twin, twin_loss = rosenbrock()
    options = dict(OPTIMIZERS["lbfgs"].options())
    parameters = [p for group in parameter_groups(twin, lr=1.0) for p in group["params"]]
    take(torch.optim.LBFGS(parameters, **options), twin_loss, 3)
    assert equal(weights(model), weights(twin))


def test_lbfgs_goes_back_when_its_closure_raises_at_a_trial_point() -> None:
    model, loss = network()
    optimizer = build("lbfgs", model)
    before = [p.detach().clone() for p in model.parameters()]
    calls = 0

    def diverges() -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Diverged("the loss is not finite")
        return closure_of(optimizer, loss)()

    with pytest.raises(Diverged):
        optimizer.step(diverges)  # type: ignore[arg-type]
    assert equal(before, [p.detach() for p in model.parameters()])


class Uphill(torch.optim.SGD):
    """SGD with a planted fault: the wrong sign."""

    def step(self, closure: Loss) -> Any:  # type: ignore[override]
        def flipped() -> torch.Tensor:
            value = closure()
            for group in self.param_groups:
                for p in group["params"]:
                    p.grad.neg_()
            return value

        return super().step(flipped)


class Forgetful(torch.optim.SGD):
    """SGD with a planted fault: its momentum is not saved."""

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"state": {}}


def test_the_contract_catches_a_wrong_sign() -> None:
    def uphill(model: nn.Module, lr: float) -> torch.optim.Optimizer:
        return Uphill(parameter_groups(model, lr=lr), lr=lr, momentum=0.9)

    def downhill(model: nn.Module, lr: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameter_groups(model, lr=lr), lr=lr, momentum=0.9)

    for problem in PROBLEMS:
        assert minimizes(downhill, 0.1, problem)
        assert not minimizes(uphill, 0.1, problem)


def test_the_contract_catches_a_lost_state() -> None:
    assert not resumes(lambda m: Forgetful(parameter_groups(m, lr=0.1), lr=0.1, momentum=0.9))
