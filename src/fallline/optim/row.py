"""What the package knows of an optimizer: one frozen row, capabilities declared, never probed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from fallline.config import Section
from fallline.space import Dimension

Role = Literal["matrix", "filter", "head", "norm", "bias"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class OptimizerRow:
    """One optimizer.

    Attributes:
        name: the word people type.
        summary: one line for the list.
        target: "module:class" of the `torch.optim.Optimizer`.
        options: every argument people may set, with type, range and default; `lr` is among them,
            `weight_decay` where the optimizer takes it.
        paper: where it comes from.
        space: what a search tries of its own settings by default; `schema.search_space` adds
            those of the optimizer inside it.
        gradients_per_step: forward-backward passes one step takes, as the cost is counted.
        calls_closure_again: `step` evaluates its closure more than once.
        one_group: takes a single parameter group, so no rates per role.
        averages: has `train()` and `eval()`, which switch between the weights it trains and the
            averaged ones it is judged by.
        wraps: steps another optimizer, named by the option `base`.
        takes: the roles it steps itself; the others go to the optimizer that `rest` names.
        marks: keys its parameter groups carry beside the usual ones.
        decays: the options that shrink weights; they are 0 for norms and biases.
        fused_on: device types where torch has a fused kernel; elsewhere `foreach` is used.
        foreach: has the argument `foreach`.
        scheduled: follows the rate of its groups; else it reads it once, at its first step.
    """

    name: str
    summary: str
    target: str
    options: type[Section]
    paper: str
    space: Mapping[str, Dimension] = field(default_factory=dict)
    gradients_per_step: float = 1.0
    calls_closure_again: bool = False
    one_group: bool = False
    averages: bool = False
    wraps: bool = False
    takes: tuple[Role, ...] = ROLES
    marks: Mapping[str, Any] = field(default_factory=dict)
    decays: tuple[str, ...] = ("weight_decay",)
    fused_on: tuple[str, ...] = ()
    foreach: bool = True
    scheduled: bool = True

    @property
    def inner(self) -> str | None:
        """The option that names a second optimizer: `base`, `rest`, or none."""
        if self.wraps:
            return "base"
        return "rest" if self.takes != ROLES else None
