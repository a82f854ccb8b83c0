"""Parameter groups by role: which weights decay, and at which rate each kind learns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from fallline.optim.row import ROLES, Role

UNDECAYED: tuple[Role, ...] = ("norm", "bias")

Group = dict[str, Any]


def parameter_groups(
    model: nn.Module,
    *,
    lr: float,
    decays: Mapping[str, float] | None = None,
    decay_norm_and_bias: bool = False,
    lr_scale: Mapping[Role, float] | None = None,
    roles: Iterable[Role] = ROLES,
) -> list[Group]:
    """The trainable parameters of `model`, one group per role that has any.

    Args:
        model: its attribute `head`, if it has one, is the last layer.
        lr: learning rate at the schedule's factor 1; also kept as `initial_lr`.
        decays: what shrinks matrices, filters and the head, as `weight_decay` does, by name.
        decay_norm_and_bias: norms and biases decay as well.
        lr_scale: factor on `lr` for a role.
        roles: which roles are wanted.
    """
    by_role = parameters_by_role(model)
    groups = []
    for role in ROLES:
        if role in roles and by_role[role]:
            rate = lr * (lr_scale or {}).get(role, 1.0)
            group: Group = {"params": by_role[role], "role": role, "lr": rate, "initial_lr": rate}
            is_spared = role in UNDECAYED and not decay_norm_and_bias
            group |= {name: 0.0 if is_spared else decay for name, decay in (decays or {}).items()}
            groups.append(group)
    return groups


def parameters_by_role(model: nn.Module) -> dict[Role, list[nn.Parameter]]:
    """Every trainable parameter under exactly one role, in the order of the model.

    Biases go by their name, those of norms too; other vectors and scalars are norms; the weights
    of `model.head` are the head.
    """
    head = getattr(model, "head", None)
    heads = {id(p) for p in head.parameters()} if isinstance(head, nn.Module) else set()
    by_role: dict[Role, list[nn.Parameter]] = {role: [] for role in ROLES}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            by_role[_role(name, parameter, id(parameter) in heads)].append(parameter)
    return by_role


def _role(name: str, parameter: nn.Parameter, in_head: bool) -> Role:
    if parameter.ndim <= 1:
        return "bias" if name.rpartition(".")[2].endswith("bias") else "norm"
    if in_head:
        return "head"
    return "matrix" if parameter.ndim == 2 else "filter"
