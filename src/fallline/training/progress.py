"""How far a training has come: what a checkpoint keeps beside weights."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Stopwatch:
    """Seconds between starts and stops; goes on from where a checkpoint's stood."""

    def __init__(self) -> None:
        self._before = 0.0
        self._since: float | None = None

    def read(self) -> float:
        """Seconds so far."""
        return self._before + (time.perf_counter() - self._since if self._since else 0.0)

    def set(self, seconds: float) -> None:
        """Takes up the reading of a checkpoint."""
        self._before = seconds

    def start(self) -> None:
        """Runs from now on."""
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Stands still from now on."""
        self._before, self._since = self.read(), None


class Clock(Stopwatch):
    """Seconds spent training: it stands still during evaluation, saving and logging of epochs."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    @contextmanager
    def running(self) -> Iterator[None]:
        """The clock runs inside."""
        self.wait()
        self.start()
        try:
            yield
        finally:
            self.wait()
            self.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The clock stands still inside, from when the device has done its work."""
        self.wait()
        self.stop()
        try:
            yield
        finally:
            self.wait()
            self.start()

    def wait(self) -> None:
        """Returns when the device has done its work, which a reading then includes."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


class Progress:
    """Counters of a training and the sums of the epoch under way; sums stay on the device.

    Attributes:
        clock, wall: seconds of training, and with evaluating and saving; both begin with the
            `spent` ones.
        step: steps done.
        images_seen: training images used, repetitions counted.
        gradients: forward-backward passes done.
        epoch_images: of these, in the epoch under way.
        val_loss, val_accuracy: of the last evaluation; accuracies are fractions.
        best_val_accuracy: of all evaluations.
        grad_norm: of the last batch that was measured.
    """

    def __init__(self, device: torch.device, spent: float = 0.0) -> None:
        self.clock, self.wall = Clock(device), Stopwatch()
        self.clock.set(spent)
        self.wall.set(spent)
        self.wall.start()
        self.step = self.images_seen = self.gradients = self.epoch_images = 0
        self.val_loss: float | None = None
        self.val_accuracy: float | None = None
        self.best_val_accuracy: float | None = None
        self.grad_norm = math.nan
        precise = torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64
        self._loss_sum = torch.zeros((), dtype=precise, device=device)
        self._right = torch.zeros((), dtype=torch.int64, device=device)

    def count(self, images: int, gradients: int, loss: Tensor, right: Tensor) -> None:
        """Takes in one step: its passes, its batch's mean loss and count of right answers."""
        self.step += 1
        self.gradients += gradients
        self.images_seen += images
        self.epoch_images += images
        self._loss_sum += loss * images
        self._right += right

    def close_epoch(self) -> tuple[float, float]:
        """Mean training loss and accuracy of the epoch, whose sums start anew."""
        images = max(1, self.epoch_images)
        means = self._loss_sum.item() / images, self._right.item() / images
        self.epoch_images = 0
        self._loss_sum.zero_()
        self._right.zero_()
        return means

    def score(self, loss: float, accuracy: float) -> None:
        """Takes in an evaluation."""
        self.val_loss, self.val_accuracy = loss, accuracy
        self.best_val_accuracy = max(accuracy, self.best_val_accuracy or 0.0)

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors."""
        return {
            "counts": (self.step, self.images_seen, self.gradients, self.epoch_images),
            "scores": (self.val_loss, self.val_accuracy, self.best_val_accuracy),
            "grad_norm": self.grad_norm,
            "sums": (self._loss_sum.cpu(), self._right.cpu()),
            "seconds": (self.clock.read(), self.wall.read()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a state."""
        self.step, self.images_seen, self.gradients, self.epoch_images = state["counts"]
        self.val_loss, self.val_accuracy, self.best_val_accuracy = state["scores"]
        self.grad_norm = state["grad_norm"]
        self._loss_sum.copy_(state["sums"][0])
        self._right.copy_(state["sums"][1])
        train_seconds, wall_seconds = state["seconds"]
        self.clock.set(train_seconds)
        self.wall.set(wall_seconds)
