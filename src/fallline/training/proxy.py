"""Training on the hardest images of each batch only, as a small net beside the model sees them.

After airbench96_faster (Jordan 2024, https://github.com/KellerJordan/cifar10-airbench), whose net
reaches 96 % with less than half the FLOP by training on the half of each batch on which a small
net has the larger loss. There the small net is trained first, on every fourth batch, and its
choices are replayed; here it is trained in step with the model, on every batch, so that the images
pass once and a run can be stopped and resumed at any step. Choosing by a small net goes back to
Coleman et al. 2019 (arXiv 1906.11829).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from fallline.data.batches import Batch
from fallline.errors import Diverged
from fallline.models.convnet import Convnet
from fallline.optim.build import build
from fallline.optim.schedule import set_lr

WIDTHS = (32, 64, 64)  # airbench96_faster's; with a stem of stride 2 a 1.5 TFLOP epoch of CIFAR-10
LR = 0.16  # of Muon, the rate of `fast70` and `fast90`


class Proxy:
    """A small convnet that learns from every image, and says which of them are hardest.

    Args:
        shape: (C, H, W) of an image.
        classes: number of classes.
        share: of each batch that is kept, in (0, 1].
        device: of the net.
        images: normalized ones (N, C, H, W) to whiten the stem by; None where a state follows.
        loss: of each image of a batch, from logits (B, K) and targets.
        autocast: a fresh autocast context per call.
        compiled: from the net to what computes as it does, or to itself.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        share: float,
        images: Tensor | None,
        device: torch.device,
        loss: Callable[[Tensor, Tensor], Tensor],
        autocast: Callable[[], AbstractContextManager[object]],
        compiled: Callable[[Convnet], Callable[[Tensor], Tensor]] = lambda net: net,
    ) -> None:
        net = Convnet(shape, classes, widths=WIDTHS, activation="silu")
        self.net = net.to(device).to(memory_format=torch.channels_last)
        if images is not None:
            net.calibrate(images)
        self._model = compiled(self.net)
        self.optimizer = build("muon", net, lr=LR)
        self.share, self.loss, self.autocast = share, loss, autocast

    def hardest(self, batch: Batch, lr_factor: float) -> Batch:
        """The share of the batch on which the net has the largest loss, in its order, as copies.

        The net takes a step on the whole batch, at its own rate times `lr_factor`. Raises Diverged
        before that if its loss is not finite (on a CPU; elsewhere the caller looks later).
        """
        set_lr(self.optimizer, lr_factor)
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            logits = self._model(batch.inputs)
        losses = self.loss(logits.float(), batch.targets)
        mean = losses.mean()
        if mean.device.type == "cpu" and not math.isfinite(mean.item()):
            raise Diverged(f"the loss of the net that chooses images is {mean.item()}")
        mean.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        kept = losses.detach().topk(self.kept(len(batch.targets))).indices.sort().values
        return Batch(batch.inputs[kept], batch.targets[kept])

    def kept(self, images: int) -> int:
        """How many of a batch's images are kept."""
        return max(1, round(self.share * images))

    def state_dict(self) -> dict[str, Any]:
        """The net and its optimizer."""
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up a state."""
        self.net.load_state_dict(state_dict["net"])
        self.optimizer.load_state_dict(state_dict["optimizer"])
