"""Spares a run the import of torch's compiler, which takes as long as that of torch itself.

torch forbids its compiler to look into some methods of optimizers, and imports it to do so when
the first of them is called (`torch._compile._disable_dynamo`, torch 2.10 to 2.15). These methods
are never compiled here, so they may as well run as they are. Where torch keeps its note in another
way, this does nothing and the import takes place.
"""

from __future__ import annotations

from torch.optim import Optimizer

METHODS = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def leave_the_compiler_unloaded() -> None:
    """Makes torch think that it has dealt with these methods already."""
    for name in METHODS:
        method = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if method is not None:
            vars(method).setdefault("__dynamo_disable", method)
