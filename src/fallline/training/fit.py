"""The loop: order, clock and device waits of a training at one glance."""

from __future__ import annotations

from fallline.errors import Diverged
from fallline.optim.schedule import set_lr
from fallline.training.job import Job
from fallline.training.progress import Progress
from fallline.training.watch import Watch


def fit(job: Job, progress: Progress, watch: Watch) -> None:
    """Trains from where `progress` stands to the end.

    The device is waited for only where `watch` acts: measuring (at most twice a second), ending an
    epoch, saving. Evaluation and saving are outside the training clock. Raises Stop (Diverged,
    Interrupted, or Pruned from the watch's callback) when the run ends before its last step.
    """
    every = job.config.track.every
    job.model.train()
    with progress.clock.running():
        while progress.step < job.total_steps:
            epoch, done = divmod(progress.step, job.steps_per_epoch)
            for batch in job.feeds.train.epoch(epoch, done):
                measure = progress.step % every == 0
                factor = job.lr_factor(progress.step)
                set_lr(job.optimizer, factor)
                try:
                    if job.proxy:
                        batch = job.proxy.hardest(batch, factor)
                    loss, right = job.step(batch.inputs, batch.targets, measure=measure)
                except Diverged as stop:
                    watch.flush()  # what was measured before is on record
                    raise Diverged(f"{stop.reason} at step {progress.step + 1}") from None
                if job.ema:
                    job.ema.update()
                progress.count(len(batch.targets), job.step.gradients, loss, right)
                if measure and (grad_norm := job.step.grad_norm) is not None:
                    watch.batch(loss, grad_norm)
                if progress.step % job.steps_per_epoch == 0 or progress.step == job.total_steps:
                    watch.epoch()
                watch.save_or_stop_if_due()
                if progress.step == job.total_steps:
                    break
