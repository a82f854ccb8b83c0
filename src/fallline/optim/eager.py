"""Optimizers that do not load torch's compiler: some 3 s less at every start.

torch 2.10 to 2.15 wrap some methods of `Optimizer` so that the compiler leaves them alone, and the
wrappers import all of it at their first call, though nothing is compiled. What they wrap is all
that training needs; a torch that wraps otherwise is only slower to start.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.optim import Optimizer

SHIELDED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


@cache
def eager(optimizer: type[Optimizer]) -> Callable[..., Optimizer]:
    """A subclass that does the same, bit for bit, with torch's wrappers left out."""
    methods = {
        name: inspect.unwrap(getattr(Optimizer, name))
        for name in SHIELDED
        if getattr(optimizer, name) is getattr(Optimizer, name)
    }
    if _switches_gradients_off(optimizer):
        methods["step"] = torch.no_grad()(inspect.unwrap(optimizer.step))
    return type(optimizer.__name__, (optimizer,), methods)


def _switches_gradients_off(optimizer: type[Optimizer]) -> bool:
    """Whether `step` is in torch's wrapper for optimizers that may be differentiated through."""
    step: Any = optimizer.step
    while hasattr(step, "__wrapped__"):
        if step.__code__.co_name == "_use_grad":
            return True
        step = step.__wrapped__
    return False
