"""From a name and its options to an optimizer of a model's parameters.

Training calls `optimizer.step(closure)` for every optimizer; `closure` zeroes the gradients, does
one forward and backward pass and returns the loss. SAM and L-BFGS call it more than once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from fallline.errors import ConfigError
from fallline.optim import table
from fallline.optim.eager import eager
from fallline.optim.groups import Group, parameter_groups
from fallline.optim.pair import Pair
from fallline.optim.row import ROLES, OptimizerRow, Role
from fallline.optim.schema import Values, check_options, split_options
from fallline.registry import load

GroupsOf = Callable[..., list[Group]]


def build(
    name: str,
    model: nn.Module,
    *,
    lr: float | None = None,
    weight_decay: float | None = None,
    decay_norm_and_bias: bool = False,
    lr_scale: Mapping[Role, float] | None = None,
    options: Mapping[str, Any] | None = None,
) -> torch.optim.Optimizer:
    """The optimizer `name` over the trainable parameters of `model`.

    Args:
        name: a row of the table, or an optimizer of the pytorch_optimizer package.
        model: on its device already.
        lr: peak learning rate; None: the row's.
        weight_decay: None: the row's.
        decay_norm_and_bias: weight decay shrinks norms and biases as well.
        lr_scale: factor on the rate of a role, e.g. {"bias": 64}.
        options: further options, by the names that `options_schema` declares.

    Raises ConfigError for an option the optimizer does not take or a model it does not suit.
    """
    given = {"lr": lr, "weight_decay": weight_decay}
    chosen = dict(options or {}) | {k: v for k, v in given.items() if v is not None}
    values = dict(check_options(name, chosen))
    groups_of = partial(
        parameter_groups, model, decay_norm_and_bias=decay_norm_and_bias, lr_scale=lr_scale
    )
    return _assemble(table.row(name), model, groups_of, values)


def _assemble(
    row: OptimizerRow, model: nn.Module, groups_of: GroupsOf, values: Values
) -> torch.optim.Optimizer:
    if row.inner is None:
        return _single(row, groups_of, values, ROLES)
    own, inner = split_options(row, values)
    held = table.row(own.pop(row.inner))
    if row.wraps:
        base = _assemble(held, model, groups_of, inner)
        wrapper: torch.optim.Optimizer = eager(load(row.target))(base, model, **own)
        return wrapper
    others = [role for role in ROLES if role not in row.takes]
    mine = _single(row, groups_of, own, row.takes)
    if not groups_of(lr=0.0, roles=others):
        return mine
    return eager(Pair)(mine, _single(held, groups_of, inner, others))


def _single(
    row: OptimizerRow, groups_of: GroupsOf, values: Values, roles: Iterable[Role]
) -> torch.optim.Optimizer:
    values = dict(values)
    lr = values.pop("lr")
    decays = {name: values.pop(name) for name in row.decays if name in values}
    groups = groups_of(lr=lr, decays=decays, roles=roles)
    if not groups:
        raise ConfigError(
            f"{row.name} finds no parameters in this model",
            seen="no trainable " + " or ".join(roles),
            next="choose another optimizer or another model",
        )
    for group in groups:
        group.update(row.marks)
    if row.one_group:
        groups = [_one_group(row, groups, lr)]
    kernel = _kernel(row, groups[0]["params"][0].device.type)
    values |= {"lr": lr} | decays  # some use these alone
    optimizer: torch.optim.Optimizer = eager(load(row.target))(groups, **values, **kernel)
    _follow(optimizer, optimizer.defaults.get("lr", lr) / lr)
    return optimizer


def _follow(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Rates of groups by the factor that a constructor takes its own rate by."""
    for group in optimizer.param_groups if factor != 1 else ():
        group["lr"] *= factor
        group["initial_lr"] *= factor


def _one_group(row: OptimizerRow, groups: list[Group], lr: float) -> Group:
    if any(group["lr"] != lr for group in groups):
        raise ConfigError(
            f"{row.name} takes one learning rate for all parameters",
            seen="optim.lr_scale",
            next="leave optim.lr_scale out, or choose another optimizer",
        )
    parameters = [p for group in groups for p in group["params"]]
    return {"params": parameters, "role": "all", "lr": lr, "initial_lr": lr}


def _kernel(row: OptimizerRow, device: str) -> Values:
    if device in row.fused_on:
        return {"fused": True}
    return {"foreach": True} if row.foreach else {}
