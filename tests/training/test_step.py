"""One step: what it computes is counted, and what is not finite is noticed."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fallline import Pruned, resume, train
from fallline.errors import Diverged
from fallline.records import Record
from fallline.training.losses import cross_entropy
from fallline.training.step import Step


@pytest.mark.parametrize(
    ("optimizer", "in_a_step"),
    [
        ({"optimizer": "sgd"}, (1, 1)),
        ({"optimizer": "sam"}, (2, 2)),
        ({"optimizer": "lbfgs", "optim.max_iter": 3}, (1.5, 4)),
    ],
    ids=["sgd", "sam", "lbfgs"],
)
def test_every_gradient_is_counted_whoever_asks_for_it(
    tmp_path: Path, small: dict[str, Any], optimizer: dict[str, Any], in_a_step: tuple[int, int]
) -> None:
    def prune(record: Record) -> None:
        raise Pruned("enough")

    settings = small | {"model": {"name": "mlp", "widths": [8]}} | optimizer
    torn = train(data="synthetic", settings=settings, out=tmp_path, show="quiet", on_eval=prune)
    run = resume(torn.path, show="quiet")
    fewest, most = in_a_step
    for outcome in (torn.outcome, run.outcome):
        assert fewest * outcome.steps <= outcome.gradients <= most * outcome.steps
    assert run.history[0]["gradients"] == torn.outcome.gradients
    assert run.history[-1]["gradients"] == run.outcome.gradients


def sgd_step(model: nn.Module, clip: float) -> Step:
    """A step of plain SGD at a rate of 1: weights move by the gradient."""
    loss = partial(cross_entropy, smoothing=0.0, reduction="mean")
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return Step(model, model.parameters(), optimizer, loss, autocast=nullcontext, clip=clip)


def test_a_long_gradient_is_cut_to_the_length_allowed() -> None:
    model = nn.Linear(3, 2, bias=False)
    before = model.weight.detach().clone()
    step = sgd_step(model, clip=0.5)
    step(100 * torch.ones(4, 3), torch.tensor([0, 1, 0, 0]), measure=True)
    assert (model.weight - before).norm().item() == pytest.approx(0.5, rel=1e-4)
    assert step.grad_norm is not None
    assert step.grad_norm > 0.5  # told as it was


class SteepAtZero(nn.Module):
    """Gives finite logits whose gradient is not."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs * self.weight).sqrt()


@pytest.mark.parametrize(("clip", "measure"), [(1.0, False), (0.0, True)])
def test_a_gradient_that_is_not_finite_changes_no_weight_where_its_norm_is_known(
    clip: float, measure: bool
) -> None:
    model = SteepAtZero()
    step = sgd_step(model, clip=clip)
    with pytest.raises(Diverged, match="norm of the gradient"):
        step(torch.ones(4, 2), torch.tensor([0, 1, 0, 0]), measure=measure)
    assert torch.equal(model.weight, torch.zeros(2))
