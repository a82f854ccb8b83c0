"""One step of training: the only place where the model's weights change."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from fallline.errors import Diverged
from fallline.optim.norm import norm

Loss = Callable[[Tensor, Tensor], Tensor]


class Step:
    """Serves every optimizer alike: each takes a closure that computes loss and gradients.

    A plain optimizer calls the closure once, SAM twice, L-BFGS as often as it likes; what is
    measured is the first call, at the weights the step began with.

    Args:
        model: maps inputs to logits; compiled or not.
        parameters: the model's; frozen ones are passed over.
        optimizer: over those parameters; its `step` takes a closure.
        loss: mean loss of logits `(B, K)` against targets.
        autocast: a fresh autocast context per call.
        clip: largest gradient norm; 0 for none.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        parameters: Iterable[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        loss: Loss,
        *,
        autocast: Callable[[], AbstractContextManager[object]],
        clip: float,
    ) -> None:
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.autocast, self.clip = autocast, clip
        self.parameters = [p for p in parameters if p.requires_grad]
        self.on_cpu = self.parameters[0].device.type == "cpu"
        self.grad_norm: Tensor | None = None
        self.gradients = 0

    def __call__(self, inputs: Tensor, targets: Tensor, *, measure: bool) -> tuple[Tensor, Tensor]:
        """Steps once; the batch's mean loss and count of right answers, still on the device.

        Leaves in `gradients` how many were computed, with `measure` the first one's norm in
        `grad_norm`. Raises Diverged if a loss, or a norm that is computed anyway, is not finite
        (on a CPU; elsewhere the caller looks later): the first before any weight has changed.
        """
        first: list[Tensor] = []
        self.gradients = 0

        def closure() -> Tensor:
            self.optimizer.zero_grad(set_to_none=True)
            with self.autocast():
                logits = self.model(inputs)
            loss = self.loss(logits.float(), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            self.gradients += 1
            if self.on_cpu and not math.isfinite(loss.item()):
                raise Diverged(f"the loss is {loss.item()}")
            length = self._clip_or_measure(measure and not first)
            if self.on_cpu and length is not None and not math.isfinite(length.item()):
                raise Diverged(f"the norm of the gradient is {length.item()}")
            if not first:
                self.grad_norm = length
                first.extend((loss.detach(), count_right(logits.detach(), targets)))
            return loss

        self.optimizer.step(closure)  # type: ignore[arg-type]
        return first[0], first[1]

    def _clip_or_measure(self, measure: bool) -> Tensor | None:
        if self.clip:
            clipped: Tensor = nn.utils.clip_grad_norm_(self.parameters, self.clip)
            return clipped
        return norm([p.grad for p in self.parameters if p.grad is not None]) if measure else None


def count_right(logits: Tensor, targets: Tensor) -> Tensor:
    """How many of the batch are classified right; of soft targets, the largest counts."""
    labels = targets if targets.ndim == 1 else targets.argmax(dim=1)
    return (logits.argmax(dim=1) == labels).sum()
