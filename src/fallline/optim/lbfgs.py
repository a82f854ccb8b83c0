"""torch's L-BFGS, made fit for channels_last weights and for a closure that raises."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class LBFGS(torch.optim.LBFGS):
    """The same algorithm and options.

    torch flattens gradients with `view`, which fails on channels_last ones: they are made
    contiguous. When the closure raises at a trial point, the weights go back to the last good.
    """

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """One step of up to `max_iter` iterations; returns the loss before it."""
        parameters: list[Tensor] = self.param_groups[0]["params"]

        def contiguous() -> Tensor:
            loss = closure()
            for p in parameters:
                if p.grad is not None:
                    p.grad = p.grad.contiguous()
            return loss

        saved = [p.detach().clone() for p in parameters]
        try:
            loss: Tensor = super().step(contiguous)  # type: ignore[no-untyped-call]
        except BaseException:  # whatever it was, it goes on up
            with torch.no_grad():
                torch._foreach_copy_(parameters, saved)
            raise
        return loss
