"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) for matrices and filters.

    M ← μ M + (1 - μ) G         U = (1 - μ) G + μ M  (Nesterov)  or  M
    W ← (1 - η λ) W - η s(W) O(U),   O(U) near P Qᵀ for U = P Σ Qᵀ

A filter (C_out, C_in, h, w) counts as a matrix (C_out, C_in h w). With `normalize_filters` each
filter tensor is first rescaled to the norm √C_out, as in airbench94_muon (Jordan 2024,
https://github.com/KellerJordan/cifar10-airbench), so that η is the relative change of a step.
Left out: everything distributed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

# Quintic with the steepest slope at 0 that keeps singular values in about [0.7, 1.2]:
# https://kellerjordan.github.io/posts/muon/#deriving-muon
A, B, C = 3.4445, -4.7750, 2.0315
TINY = 1e-7
TOGETHER = 3  # first iterations, on one Gram matrix; in bf16 more of them are unstable
WIDE = 2.5  # columns for a row from which that saves time


def orthogonalize(u: Tensor, steps: int) -> Tensor:
    """Newton-Schulz iterations that bring all singular values of a matrix near 1.

    X ← P X with P = A + B G + C G² and G = X Xᵀ. Of wide matrices the first ones are taken on the
    small G ← P G P alone, and X is multiplied once by all their P: half the FLOP for 512 x 4608
    (Zhang, Amsel, Chen, Dao 2026, https://dao-lab.ai/blog/2026/gram-newton-schulz).

    Args:
        u: (N, rows, columns), N matrices at once, floating, on which the result depends only up
            to a positive factor each.
        steps: iterations; 5 reach singular values in about [0.7, 1.2] from any, 3 most of them.

    Returns: (N, rows, columns), of the type of `u`.
    """
    tall = u.shape[1] > u.shape[2]
    x = u.mT if tall else u
    x = x / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) + TINY)
    first = min(TOGETHER, steps) if x.shape[2] >= WIDE * x.shape[1] else 1
    for iterations in (first, *[1] * (steps - first)):
        x = torch.bmm(_factors(torch.bmm(x, x.mT), iterations), x)
    return x.mT if tall else x


def _factors(gram: Tensor, iterations: int) -> Tensor:
    """The product of the factors P of so many iterations, from G = X Xᵀ."""
    product = factor = _factor(gram)
    for _ in range(iterations - 1):
        gram = torch.bmm(torch.bmm(factor, gram), factor)
        factor = _factor(gram)
        product = torch.bmm(factor, product)
    return product


def _factor(gram: Tensor) -> Tensor:
    """P = A + B G + C G²."""
    factor = torch.baddbmm(gram, gram, gram, beta=B, alpha=C)
    factor.diagonal(dim1=1, dim2=2).add_(A)
    return factor


def momentum_update(
    m: list[Tensor], g: list[Tensor], mu: float, nesterov: bool
) -> list[Tensor] | tuple[Tensor, ...]:
    """M ← μ M + (1 - μ) G in place; U = (1 - μ) G + μ M, or M without Nesterov."""
    torch._foreach_lerp_(m, g, 1 - mu)
    return torch._foreach_lerp(g, m, mu) if nesterov else m


def scale(rule: str, rows: int, columns: int) -> float:
    """s(W), the factor on the rate of a (rows, columns) matrix; names are torch's."""
    if rule == "original":  # Jordan 2024: tall matrices get an update of the same operator norm
        return math.sqrt(max(1.0, rows / columns))
    if rule == "match_rms_adamw":  # Liu et al. 2025, https://arxiv.org/abs/2502.16982
        return 0.2 * math.sqrt(max(rows, columns))
    return 1.0


class Muon(Optimizer):
    """The equation above, equal shapes batched, in bf16 where the device has it natively.

    Args:
        params: groups of parameters of at least two dimensions.
        momentum: μ. nesterov: whether U looks ahead.
        ns_steps: Newton-Schulz iterations.
        adjust_lr_fn: `original`, `match_rms_adamw` or `none`, see `scale`.
        normalize_filters: rescale parameters of more than two dimensions before each step, which
            undoes their weight decay but for lr weight_decay of a step's size.
    """

    def __init__(
        self,
        params: Any,
        *,
        lr: float = 0.24,
        weight_decay: float = 0.0,
        momentum: float = 0.6,
        nesterov: bool = True,
        ns_steps: int = 3,
        adjust_lr_fn: str = "original",
        normalize_filters: bool = True,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
            "normalize_filters": normalize_filters,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """One step; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            w = [p for p in group["params"] if p.grad is not None]
            if w:
                self._step_group(group, w)
        return loss

    def _step_group(self, group: dict[str, Any], w: list[Tensor]) -> None:
        u = momentum_update(
            [self._momentum(p) for p in w],
            [p.grad for p in w if p.grad is not None],
            group["momentum"],
            group["nesterov"],
        )
        filters = [p for p in w if p.ndim > 2]
        if group["normalize_filters"] and filters:
            normalize(filters)
        if group["weight_decay"]:
            torch._foreach_mul_(w, 1 - group["lr"] * group["weight_decay"])
        for same in same_shapes(w):
            move([w[i] for i in same], [u[i] for i in same], group)

    def _momentum(self, p: Tensor) -> Tensor:
        state = self.state[p]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def move(w: list[Tensor], u: list[Tensor], group: dict[str, Any]) -> None:
    """W ← W - η s(W) O(U) for parameters of one shape."""
    alike = [x.contiguous(memory_format=layout(p)) for x, p in zip(u, w, strict=True)]
    matrices = [as_matrix(x) for x in alike]
    rows, columns = matrices[0].shape
    stacked = torch.stack(matrices).to(native_type(w[0].device))
    directions = orthogonalize(stacked, group["ns_steps"]).to(w[0].dtype)
    rate = group["lr"] * scale(group["adjust_lr_fn"], rows, columns)
    torch._foreach_add_([as_matrix(p.data) for p in w], directions.unbind(), alpha=-rate)


def normalize(w: list[Tensor]) -> None:
    """Rescales each tensor to the norm √C_out."""
    norms = torch._foreach_norm(w)
    torch._foreach_add_(norms, TINY)
    torch._foreach_div_(w, norms)
    torch._foreach_mul_(w, [math.sqrt(len(p)) for p in w])


def as_matrix(x: Tensor) -> Tensor:
    """A view (C_out, everything else), its columns in the order of memory.

    O(U P) = O(U) P for any permutation P, so the order does not matter as long as U and W lie in
    memory alike.
    """
    if layout(x) is torch.channels_last:
        x = x.permute(0, 2, 3, 1)
    return x.view(len(x), -1)


def layout(x: Tensor) -> torch.memory_format:
    """How `x` lies in memory."""
    plain = x.ndim != 4 or x.is_contiguous()
    return torch.contiguous_format if plain else torch.channels_last


def same_shapes(w: list[Tensor]) -> list[list[int]]:
    """Indices of `w`, those of equal shape together."""
    by_shape: dict[torch.Size, list[int]] = {}
    for i, p in enumerate(w):
        by_shape.setdefault(p.shape, []).append(i)
    return list(by_shape.values())


@lru_cache
def native_type(device: torch.device) -> torch.dtype:
    """bf16 on devices that multiply it natively, else fp32."""
    if device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(device)
        native = torch.version.hip is not None or major >= 8  # from Ampere on
    else:
        native = device.type == "cpu" and _cpu_has_bf16()
    return torch.bfloat16 if native else torch.float32


def _cpu_has_bf16() -> bool:
    return torch.cpu._is_avx512_bf16_supported()
