"""Problems with known answers, each a model and a closure's loss, and the contract's steps."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Loss = Callable[[], Tensor]


@dataclass(frozen=True)
class Problem:
    """`start()` gives a fresh model and its loss; `lowest` is the known minimum of the loss."""

    name: str
    start: Callable[[], tuple[nn.Module, Loss]]
    lowest: float


class Vector(nn.Module):
    """Two weights, as a head, so that every optimizer takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 1, bias=False)
        self.head.weight.data = torch.tensor([[-1.0, 1.5]])
        self.inner = nn.Linear(2, 2, bias=False)  # for the optimizers that want a matrix
        self.inner.weight.data = torch.eye(2) * 0.5


def quadratic() -> tuple[nn.Module, Loss]:
    """Convex, condition number 10, minimum 0 at the known targets."""
    model = Vector()
    target = torch.tensor([[0.5, -0.5]])
    curvature = torch.tensor([[1.0, 0.1]])

    def loss() -> Tensor:
        off: Tensor = (curvature * (model.head.weight - target) ** 2).sum()
        return off + ((model.inner.weight - torch.ones(2, 2) * 0.3) ** 2).mean()

    return model, loss


def rosenbrock() -> tuple[nn.Module, Loss]:
    """A curved valley (steepness 2), minimum 0 at (1, 1)."""
    model = Vector()
    model.head.weight.data = torch.tensor([[-0.5, 1.0]])

    def loss() -> Tensor:
        x, y = model.head.weight[0]
        valley: Tensor = (1 - x) ** 2 + 2 * (y - x**2) ** 2
        return valley + (model.inner.weight**2).mean()

    return model, loss


def matrix() -> tuple[nn.Module, Loss]:
    """Linear regression onto a known matrix W* (8, 16) through orthonormal inputs, minimum 0."""
    generator = torch.Generator().manual_seed(1)
    linear = nn.Linear(16, 8, bias=False)
    torch.nn.init.normal_(linear.weight, std=0.1, generator=generator)
    target = torch.randn(8, 16, generator=generator) / 4

    def loss() -> Tensor:
        return ((linear.weight - target) ** 2).sum(1).mean()

    return nn.Sequential(linear), loss


def filters() -> tuple[nn.Module, Loss]:
    """Find a known filter bank (8, 3, 3, 3), channels_last, up to a norm per channel, minimum 0.

    A norm follows, as in the networks, so the loss knows the filters' directions alone.
    """
    generator = torch.Generator().manual_seed(2)
    conv = nn.Conv2d(3, 8, 3, bias=False).to(memory_format=torch.channels_last)
    torch.nn.init.normal_(conv.weight, std=0.2, generator=generator)
    target = F.normalize(torch.randn(8, 27, generator=generator), dim=1)

    def loss() -> Tensor:
        direction = F.normalize(conv.weight.flatten(1), dim=1)
        return ((direction - target) ** 2).sum(1).mean()

    return nn.Sequential(conv), loss


def logistic() -> tuple[nn.Module, Loss]:
    """Logistic regression on symmetric data whose optimum is the closed form logit(3/4)."""
    model = nn.Module()
    model.head = head = nn.Linear(1, 1, bias=False)
    model.inner = inner = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(head.weight)
    nn.init.constant_(inner.weight, 0.3)
    x = torch.tensor([[1.0], [1.0], [1.0], [1.0]])
    y = torch.tensor([[1.0], [1.0], [1.0], [0.0]])

    def loss() -> Tensor:
        fit = F.binary_cross_entropy_with_logits(head(x), y)
        return fit + inner.weight.square().mean()

    return model, loss


ENTROPY = 0.5623351446188083  # of a coin with 3/4
PROBLEMS = [
    Problem("quadratic", quadratic, 0.0),
    Problem("rosenbrock", rosenbrock, 0.0),
    Problem("logistic", logistic, ENTROPY),
    Problem("matrix", matrix, 0.0),
    Problem("filters", filters, 0.0),
]


class Net(nn.Module):
    """A small network with every role: filters, matrices, a norm, biases, a head."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.twin = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.linear = nn.Linear(8, 8)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 4) of images (B, 3, H, W)."""
        x = self.norm(self.twin(self.conv(images))).relu().mean((2, 3))
        logits: Tensor = self.head(self.dropout(self.linear(x).relu()))
        return logits


def network(seed: int = 0, dropout: float = 0.0) -> tuple[Net, Loss]:
    """The small network and its loss on one fixed batch of noise."""
    torch.manual_seed(seed)
    model = Net(dropout).to(memory_format=torch.channels_last)
    images, labels = torch.randn(16, 3, 8, 8), torch.randint(0, 4, (16,))
    return model, lambda: F.cross_entropy(model(images), labels)


def closure_of(optimizer: torch.optim.Optimizer, loss: Loss) -> Loss:
    """What training hands to `step`."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        torch.autograd.backward(value)
        return value

    return closure


def take(optimizer: torch.optim.Optimizer, loss: Loss, steps: int) -> Tensor:
    """Some steps; the loss of the last."""
    for _ in range(steps):
        value: Any = optimizer.step(closure_of(optimizer, loss))  # type: ignore[arg-type]
    return value.detach()  # type: ignore[no-any-return]


def weights(model: nn.Module) -> list[Tensor]:
    """Copies of parameters and buffers."""
    return [v.detach().clone() for v in model.state_dict().values()]


def equal(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    """Whether all are the same to the bit."""
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def through_a_file(state: Any) -> Any:
    """What a checkpoint does to a state."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
