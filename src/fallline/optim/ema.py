"""An exponential moving average of a model's weights, to evaluate and keep instead of them.

Averaged: trainable parameters and floating buffers, BatchNorm's running statistics among them, so
that statistics and weights belong together. Frozen parameters and counters are the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fallline.errors import CheckpointError


class EMA:
    """m ← m + (1 - d)(w - m) after each step, with d = min(decay, (1 + t) / (10 + t)).

    The rising decay is that of TensorFlow's ExponentialMovingAverage(num_updates): a short run's
    average forgets its first weights, which a fixed decay of 0.999 keeps for thousands of steps.

    Args:
        model: on its device already; not a compiled wrapper, whose names differ.
        decay: d of long runs, in [0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._names, self._live = _averaged(model)
        self._mean = [tensor.detach().clone() for tensor in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the weights as they are after a step."""
        t = self.updates
        decay = min(self.decay, (1 + t) / (10 + t))
        torch._foreach_lerp_(self._mean, self._live, 1 - decay)
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the averaged weights inside and exactly its own again after."""
        own = [tensor.detach().clone() for tensor in self._live]
        self._put(self._mean)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        torch._foreach_copy_(self._live, values)

    def state_dict(self) -> dict[str, Any]:
        """The averages by name, and the number of updates."""
        return {"updates": self.updates, "mean": dict(zip(self._names, self._mean, strict=True))}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up a state; raises CheckpointError if it is of another model."""
        mean = state_dict["mean"]
        if list(mean) != self._names:
            raise CheckpointError(
                "the averaged weights are of another model",
                seen=", ".join(sorted(set(mean) ^ set(self._names))) or "another order",
            )
        self.updates = state_dict["updates"]
        with torch.no_grad():
            torch._foreach_copy_(self._mean, [mean[name] for name in self._names])


def _averaged(model: nn.Module) -> tuple[list[str], list[Tensor]]:
    trained = [(n, p.detach()) for n, p in model.named_parameters() if p.requires_grad]
    buffers = [(n, b) for n, b in model.named_buffers() if b.is_floating_point()]
    named = trained + buffers
    return [name for name, _ in named], [tensor for _, tensor in named]
