"""A training, put together and not yet begun: all that the loop and its watch work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from fallline.config import RunConfig
from fallline.data import ImageSet
from fallline.data.batches import Batches
from fallline.optim.ema import EMA
from fallline.optim.random_numbers import rewound
from fallline.training.proxy import Proxy
from fallline.training.splits import Splits
from fallline.training.step import Step

STATISTICS_BATCHES = 20  # of BatchNorm's statistics, where an optimizer averages the weights

Autocast = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Feeds:
    """The batches of each split."""

    train: Batches
    val: Batches
    test: Batches | None


@dataclass(frozen=True)
class Job:
    """A training, put together and not yet begun.

    Attributes:
        averages: the optimizer is judged by averages of its own, as ScheduleFree is.
        image_loss: of each image (B,), without smoothing, from logits (B, K) and targets.
        autocast: a fresh autocast context per call.
        lr_factor: from steps done to the factor on each group's `initial_lr`.
        calibration_seconds: went into fitting nets to the training images; they count as training.
    """

    config: RunConfig
    images: ImageSet
    splits: Splits
    feeds: Feeds
    model: nn.Module
    optimizer: torch.optim.Optimizer
    averages: bool
    ema: EMA | None
    proxy: Proxy | None
    step: Step
    image_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    autocast: Autocast
    device: torch.device
    total_steps: int
    lr_factor: Callable[[int], float]
    calibration_seconds: float

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the training images."""
        return self.feeds.train.steps_per_epoch

    @contextmanager
    def judged_weights(self) -> Iterator[None]:
        """The model holds the weights it is judged by: averaged ones where there are any."""
        with self.ema.applied() if self.ema else self._averaged_by_the_optimizer():
            yield

    @contextmanager
    def _averaged_by_the_optimizer(self) -> Iterator[None]:
        """Its own switch there and back rounds: the weights are put back to the bit.

        BatchNorm's statistics are taken anew, as those at hand belong to the weights trained at.
        """
        if not self.averages:
            yield
            return
        live = list(self.model.state_dict().values())
        own = [value.clone() for value in live]
        self.optimizer.eval()  # type: ignore[attr-defined]
        try:
            self._take_statistics()
            yield
        finally:
            self.optimizer.train()  # type: ignore[attr-defined]
            for value, before in zip(live, own, strict=True):
                value.copy_(before)

    def _take_statistics(self) -> None:
        """BatchNorm's, of the same batches each time, without a trace in the random numbers."""
        batches = islice(self.feeds.train.epoch(0), STATISTICS_BATCHES)
        with rewound(self.device), self.autocast():
            update_bn(batches, self.model)
