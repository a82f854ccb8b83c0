"""The occasional work of a training: measuring, evaluating, saving, stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fallline.data.batches import Batches
from fallline.errors import Diverged, Interrupted, Pruned
from fallline.optim.norm import norm
from fallline.records import Record, RunFolder
from fallline.track.tracker import Tracker
from fallline.training import checkpoint
from fallline.training.evaluate import Evaluation, evaluate
from fallline.training.job import Job
from fallline.training.progress import Progress
from fallline.training.signals import StopRequest
from fallline.training.state import config_digest, state_of

OnEval = Callable[[Record], None]
SECONDS_BETWEEN_READINGS = 0.5  # a kill may lose one second of measurements
FEW_STEPS = 50  # of a whole run that tells how long steps take, as before a comparison


@dataclass(frozen=True)
class _Reading:
    """A batch's measurements, still on the device."""

    step: int
    seconds: float
    lr: float
    loss: Tensor
    grad_norm: Tensor


class _Pace:
    """Images trained on per second since this was last asked, by the training clock."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._images, self._seconds = progress.images_seen, progress.clock.read()
        self._last = math.nan

    def read(self) -> float:
        images, seconds = self._images, self._seconds
        self._images, self._seconds = self._progress.images_seen, self._progress.clock.read()
        if self._seconds > seconds:
            self._last = (self._images - images) / (self._seconds - seconds)
        return self._last


class Watch:
    """Does what is due beside the steps.

    Args:
        job: the training.
        progress: how far it has come.
        folder: where checkpoints go.
        tracker: where measurements go.
        stopping: whether somebody asked to stop.
        on_eval: called with the record of every evaluated epoch, of a resumed run the past ones
            first; may raise Pruned, which after the last step has no meaning.
    """

    def __init__(
        self,
        job: Job,
        progress: Progress,
        folder: RunFolder,
        tracker: Tracker,
        stopping: StopRequest,
        on_eval: OnEval | None = None,
    ) -> None:
        self.job, self.progress, self.folder = job, progress, folder
        self.tracker, self.stopping, self.on_eval = tracker, stopping, on_eval
        self._last: Evaluation | None = None
        self._readings: list[_Reading] = []
        self._read_at = self._saved_at = time.monotonic()
        self._pace, self._pace_of_epochs = _Pace(progress), _Pace(progress)

    def recall(self, past: Iterable[Record]) -> None:
        """Tells whoever watches what a resumed run was evaluated to before. May raise Pruned."""
        for record in past:
            self._tell(record)

    def batch(self, loss: Tensor, grad_norm: Tensor) -> None:
        """Notes a batch's measurements; they are read from the device some times a second.

        Its seconds are those of the host, which runs ahead of an accelerator, but in short runs.
        """
        if self.job.total_steps <= FEW_STEPS:
            self.progress.clock.wait()
        seconds, lr = self.progress.clock.read(), self.job.optimizer.param_groups[0]["lr"]
        self._readings.append(_Reading(self.progress.step, seconds, lr, loss, grad_norm))
        if time.monotonic() - self._read_at >= SECONDS_BETWEEN_READINGS:
            self.flush()

    def flush(self) -> None:
        """Reads the noted measurements from the device, in one wait, and logs them.

        Raises Diverged where a loss among them is not finite, those before it being logged.
        """
        self._read_at = time.monotonic()
        if not self._readings:
            return
        readings, self._readings = self._readings, []
        both = [(reading.loss, reading.grad_norm) for reading in readings]
        measured = torch.stack([value for pair in both for value in pair]).view(-1, 2).tolist()
        pace = self._pace.read()
        for reading, (loss, grad_norm) in zip(readings, measured, strict=True):
            if not math.isfinite(loss):
                raise Diverged(f"the loss is {loss} at step {reading.step} or before")
            self.tracker.log(self._batch_record(reading, loss, grad_norm, pace))

    def epoch(self) -> None:
        """Ends an epoch: evaluates if that is due, and logs."""
        with self.progress.clock.paused():
            self.flush()
            values = self._epoch_values()
            if self._evaluation_due():
                values |= self._evaluate()
            record = self._record("epoch", values)
            self.tracker.log(record)
            self._tell(record)

    def save_or_stop_if_due(self) -> None:
        """Saves when the time has come. Raises Interrupted, after saving, if asked to stop."""
        stop = self.stopping.by is not None
        if not stop and time.monotonic() - self._saved_at < self._save_every:
            return
        with self.progress.clock.paused():
            self.save()
        if stop and self.progress.step < self.job.total_steps:
            raise Interrupted(f"stopped by {self.stopping.name}")

    def save(self) -> None:
        """Writes a checkpoint, with everything measured up to here on record before it."""
        self._check()
        state = state_of(self.job, self.progress, self._digest)
        checkpoint.save(self.folder.checkpoints, state, self.progress.step)
        self._saved_at = time.monotonic()

    def end(self) -> None:
        """After the last step: everything is on record, and the weights are kept if wanted."""
        if self.job.config.train.keep_weights:
            self.save()
        else:
            self._check()

    def last_evaluation(self) -> Evaluation:
        """The last evaluation; a run resumed after its last step evaluates again."""
        if self._last is None:
            self._last = evaluate_on(self.job, self.job.feeds.val, final=True)
        return self._last

    def _tell(self, record: Record) -> None:
        """Tells an evaluation; if that ends the run, what it has learned is saved before."""
        if self.on_eval is None or not record.is_evaluation:
            return
        try:
            self.on_eval(record)
        except BaseException as error:
            if isinstance(error, Pruned) and record.step == self.job.total_steps:
                return  # there is nothing left to stop
            self.save()
            raise

    def _check(self) -> None:
        """Raises Diverged if what would be saved, running statistics included, is not finite."""
        self.flush()
        nets = [self.job.model, self.job.proxy.net] if self.job.proxy else [self.job.model]
        tensors = (tensor for net in nets for tensor in net.state_dict().values())
        weights = [tensor for tensor in tensors if tensor.is_floating_point()]
        if not torch.stack(torch._foreach_norm(weights, math.inf)).isfinite().all():
            raise Diverged(f"a weight is not finite after step {self.progress.step}")

    @cached_property
    def _digest(self) -> str:
        return config_digest(self.folder)

    @property
    def _save_every(self) -> float:
        return self.job.config.train.checkpoint_seconds

    def _evaluation_due(self) -> bool:
        last = self.progress.step == self.job.total_steps
        return last or self._epoch_number() % self.job.config.train.eval_every == 0

    def _epoch_number(self, step: int | None = None) -> int:
        """The epoch, counted from 1, that a step (default: the last one done) belongs to."""
        return -(-(self.progress.step if step is None else step) // self.job.steps_per_epoch)

    def _batch_record(
        self, reading: _Reading, loss: float, grad_norm: float, pace: float
    ) -> Record:
        values = {"train/batch_loss": loss, "lr": reading.lr, "images_per_second": pace}
        self.progress.grad_norm = values["grad_norm"] = grad_norm
        epoch = self._epoch_number(reading.step)
        return Record("batch", reading.step, epoch, reading.seconds, values)

    def _epoch_values(self) -> dict[str, float | str]:
        loss, accuracy = self.progress.close_epoch()
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss of the epoch that ended at step {self.progress.step} is {loss}"
            )
        config = self.job.config
        return {
            "train/loss": loss,
            "train/accuracy": accuracy,
            "lr": self.job.optimizer.param_groups[0]["lr"],
            "batch_size": config.train.batch_size or 0,
            "weight_norm": norm(list(self.job.model.parameters())).item(),
            "grad_norm": self.progress.grad_norm,
            "images_per_second": self._pace_of_epochs.read(),
            "gradients": self.progress.gradients,
            "optimizer": config.optim.name,
        }

    def _evaluate(self) -> dict[str, float | str]:
        """Scores the val split; with views averaged at the end of the run."""
        last = self.progress.step == self.job.total_steps
        scored = evaluate_on(self.job, self.job.feeds.val, final=last)
        self._last = scored
        self.progress.score(scored.loss, scored.accuracy)
        for index, loss in enumerate(scored.batch_losses):
            place = (self._epoch_number() - 1) * len(scored.batch_losses) + index + 1
            self.tracker.log(self._record("batch", {"val/batch_loss": loss, "val/batch": place}))
        values: dict[str, float | str] = {"val/loss": scored.loss, "val/accuracy": scored.accuracy}
        if scored.accuracy_tta is not None:
            values["val/accuracy_tta"] = scored.accuracy_tta
        return values

    def _record(self, event: Any, values: dict[str, Any]) -> Record:
        seconds = self.progress.clock.read()
        return Record(event, self.progress.step, self._epoch_number(), seconds, values)


def evaluate_on(job: Job, batches: Batches, *, final: bool) -> Evaluation:
    """Scores the weights the job is judged by; `final`: with the views the config averages."""
    with job.judged_weights():
        return evaluate(
            job.model,
            batches.epoch(0),
            job.image_loss,
            autocast=job.autocast,
            tta=job.config.train.tta if final else "off",
        )
