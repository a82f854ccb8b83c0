"""SAM (Foret et al. 2021, algorithm 1) and ASAM (Kwon et al. 2021, algorithm 1), p = 2.

    SAM   ε(w) = ρ g / ‖g‖                    ASAM  ε(w) = ρ T² g / ‖T g‖,  T = diag(|w| + η)
    g = ∇L(w),   w ← base step from w with the gradient ∇L(w + ε(w))

Left out: the second-order term of ∇ε, as in the papers, and m-sharpness (ε is of the whole batch).
BatchNorm statistics follow the first pass only, the second pass draws the dropout masks of the
first, and the loss returned is that of the unperturbed weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from fallline.optim.norm import norm
from fallline.optim.random_numbers import rewound

TINY = 1e-12  # keeps ρ / ‖g‖ finite at a stationary point

Tensors = list[Tensor] | tuple[Tensor, ...]
Closure = Callable[[], Tensor]


def sam_ascent(g: Tensors, rho: float) -> Tensors:
    """ε = ρ g / ‖g‖."""
    return torch._foreach_mul(g, rho / (norm(g) + TINY))


def asam_ascent(w: Tensors, g: Tensors, rho: float, eta: float) -> Tensors:
    """ε = ρ T² g / ‖T g‖ with T = diag(|w| + η)."""
    t = torch._foreach_abs(w)
    torch._foreach_add_(t, eta)
    tg = torch._foreach_mul(t, g)
    scale = rho / (norm(tg) + TINY)
    torch._foreach_mul_(tg, t)
    torch._foreach_mul_(tg, scale)
    return tg


class SharpnessAware(Optimizer, ABC):
    """Steps `base` with the gradient at w + ε(w).

    A step whose loss or gradients are not finite, and whose closure does not raise (training's
    does), is skipped on a CPU; elsewhere, where asking would make the host wait, its gradients
    count as zero, so that only momentum and decay move the weights. They stay finite and
    unperturbed in all cases.

    Args:
        base: the optimizer that moves the weights; `param_groups` are its own.
        model: its norms and its parameters' device are looked up once.
    """

    def __init__(self, base: Optimizer, model: nn.Module) -> None:
        super().__init__(base.param_groups, base.defaults)
        self.base = base
        self._norms = [m for m in model.modules() if isinstance(m, _NormBase)]
        self._saved: dict[Tensor, Tensor] = {}
        self._adopt()

    @abstractmethod
    def ascent(self, w: Tensors, g: Tensors) -> Tensors:
        """ε(w): the step to the worst point nearby, shapes of `w`."""

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """Two passes and one step of the base; returns the loss of the unperturbed weights."""
        with torch.enable_grad(), rewound(self._device):  # the second pass draws the same dropout
            loss = closure()
        w, g = self._with_gradients()
        first = norm(g)
        with self._perturbed(w, self.ascent(w, g)), torch.enable_grad(), frozen(self._norms):
            second_loss = closure()
        _, g = self._with_gradients()
        self._descend(g, torch.isfinite(loss + second_loss + first + norm(g)))
        return loss

    def _descend(self, g: Tensors, finite: Tensor) -> None:
        if finite.device.type != "cpu":
            for gradient in g:
                gradient.masked_fill_(~finite, 0.0)
            self.base.step()
        elif finite:
            self.base.step()

    def _with_gradients(self) -> tuple[list[Tensor], list[Tensor]]:
        parameters = [p for group in self.param_groups for p in group["params"]]
        w = [p for p in parameters if p.grad is not None]
        return w, [p.grad for p in w if p.grad is not None]

    @contextmanager
    def _perturbed(self, w: Tensors, epsilon: Tensors) -> Iterator[None]:
        """Weights are w + ε inside and exactly w again after, whatever happens."""
        self._saved |= {p: torch.empty_like(p) for p in w if p not in self._saved}
        saved = [self._saved[p] for p in w]
        torch._foreach_copy_(saved, w)
        torch._foreach_add_(w, epsilon)
        try:
            yield
        finally:
            torch._foreach_copy_(w, saved)

    def _adopt(self) -> None:
        self.param_groups = self.base.param_groups
        self.state = self.base.state
        self._device = self.param_groups[0]["params"][0].device

    def state_dict(self) -> dict[str, Any]:
        """The base's state; SAM has none of its own between steps."""
        return self.base.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the base's state."""
        self.base.load_state_dict(state_dict)
        self._adopt()


class SAM(SharpnessAware):
    """Perturbs every weight by ρ along the gradient.

    Args:
        rho: radius of the neighbourhood, in the 2-norm of all weights together.
    """

    def __init__(self, base: Optimizer, model: nn.Module, *, rho: float) -> None:
        super().__init__(base, model)
        self.rho = rho

    def ascent(self, w: Tensors, g: Tensors) -> Tensors:
        """ε = ρ g / ‖g‖."""
        return sam_ascent(g, self.rho)


class ASAM(SharpnessAware):
    """Perturbs each weight in proportion to its size.

    Args:
        rho: radius of the neighbourhood, relative to the weights.
        eta: added to |w|, so that a zero weight moves too.
    """

    def __init__(self, base: Optimizer, model: nn.Module, *, rho: float, eta: float) -> None:
        super().__init__(base, model)
        self.rho = rho
        self.eta = eta

    def ascent(self, w: Tensors, g: Tensors) -> Tensors:
        """ε = ρ T² g / ‖T g‖."""
        return asam_ascent(w, g, self.rho, self.eta)


@contextmanager
def frozen(norms: Sequence[_NormBase]) -> Iterator[None]:
    """Batch statistics normalize as before and leave no trace in the running ones."""
    tracking = [m for m in norms if m.training and m.track_running_stats]
    for module in tracking:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True
