"""Two optimizers that share a model's parameters and look like one from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Pair(Optimizer):
    """Steps `own`, then `rest`, with the gradients of one closure.

    `param_groups` are those of both, the same dicts, so that a schedule sees them all.
    """

    def __init__(self, own: Optimizer, rest: Optimizer) -> None:
        super().__init__([*own.param_groups, *rest.param_groups], {})
        self.own = own
        self.rest = rest

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """One step of both; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.own.step()
        self.rest.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {"own": self.own.state_dict(), "rest": self.rest.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the states of both."""
        self.own.load_state_dict(state_dict["own"])
        self.rest.load_state_dict(state_dict["rest"])
        self.param_groups = [*self.own.param_groups, *self.rest.param_groups]
