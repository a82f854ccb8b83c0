"""One life of a run: from its begin, or its last checkpoint, to its end or its next stop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fallline.config import RunConfig
from fallline.errors import DeviceError, Status, Stop
from fallline.models.kernels import why_lacking
from fallline.records import Outcome, RunFolder
from fallline.storage import write_atomically
from fallline.track.fanout import open_trackers
from fallline.track.terminal import drawn_progress, tell
from fallline.track.tracker import RunStart
from fallline.training import checkpoint
from fallline.training.assemble import assemble
from fallline.training.cold_start import has_cold_start, start_cold
from fallline.training.conclude import Verdict, conclude
from fallline.training.environment import (
    describe,
    describe_again,
    suits_kernels,
    why_rounded_otherwise,
)
from fallline.training.fit import fit
from fallline.training.heap import kept_memory
from fallline.training.images import load_images, load_or_fall_back
from fallline.training.job import Job
from fallline.training.progress import Progress
from fallline.training.resolve import Resolved, read_config
from fallline.training.session import Session
from fallline.training.settle import from_anywhere, settle
from fallline.training.splits import split
from fallline.training.state import check_images, restore
from fallline.training.threads import on_own_cores
from fallline.training.watch import Watch

ENDED: tuple[Status, ...] = ("completed", "diverged", "pruned")


@dataclass(frozen=True)
class Run:
    """A run that has ended: its folder, complete config and outcome."""

    folder: RunFolder
    config: RunConfig
    outcome: Outcome

    @property
    def path(self) -> Path:
        """The run folder."""
        return self.folder.path

    @property
    def history(self) -> list[dict[str, Any]]:
        """The records of the epochs, as plain data."""
        return [r for r in self.folder.read_metrics() if r["event"] == "epoch"]


def start(
    resolved: Resolved, folder: RunFolder, trial: Mapping[str, Any] | None, session: Session
) -> Run:
    """The first life of a run, in a folder that has none; `trial` becomes its trial.json."""
    images = session.images
    if images is None:
        resolved, images = load_or_fall_back(resolved, drawn_progress(session.show))
    splits = split(resolved.config, images)
    config = settle(resolved.config, images, len(splits.train))
    job = assemble(config, images, splits, fresh=True)
    environment = describe(job, dict(resolved.origins))
    _write(folder.environment, environment)
    if trial is not None:
        _write(folder.trial, trial)
    _write(folder.config, config.model_dump(mode="json"))  # now it is a run
    progress = Progress(job.device, job.calibration_seconds)
    return _carry_out(job, progress, folder, environment, session)


def go_on(folder: RunFolder, session: Session, data: str | Path | None = None) -> Run:
    """A further life, from the last whole checkpoint; `data` is where its images lie now."""
    config = read_config(folder)
    if data is not None:
        moved = config.data.model_copy(update={"name": from_anywhere(str(data))})
        config = config.model_copy(update={"data": moved})
    images = session.images or load_images(config.data, drawn_progress(session.show))
    check_images(images.fingerprint, folder.read_environment()["data"]["fingerprint"])
    checkpoint.drop_unfinished(folder.checkpoints)
    state = _last_state(folder)
    try:
        job = assemble(config, images, split(config, images), fresh=state is None)
    except DeviceError as error:
        hint = "a run goes on where such a device is; or train it anew with another"
        raise DeviceError([replace(fault, next=hint) for fault in error.faults]) from None
    progress = Progress(job.device, job.calibration_seconds)
    if state is not None:
        restore(job, progress, state, folder)
    checkpoint.drop_after(folder.checkpoints, progress.step + 1)
    if data is not None:
        plain = folder.read_config()
        _write(folder.config, plain | {"data": plain["data"] | {"name": config.data.name}})
    environment = describe_again(job, folder.read_environment())
    for why in why_rounded_otherwise(environment) if job.device.type == "cpu" else ():
        tell(f"{why}; rounding will differ")
    _write(folder.environment, environment)
    return _carry_out(job, progress, folder, environment, session)


def _last_state(folder: RunFolder) -> dict[str, Any] | None:
    """The last checkpoint's state; None where the run was stopped before its first."""
    if not checkpoint.list_checkpoints(folder.checkpoints):
        if folder.read_metrics():
            tell("there is no checkpoint: the run begins anew, with the same settings")
        return None
    loaded = checkpoint.load_latest(folder.checkpoints)
    for line in loaded.damaged:
        tell(line)
    return loaded.state


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(dict(content), indent=2) + "\n")


def _carry_out(
    job: Job,
    progress: Progress,
    folder: RunFolder,
    environment: dict[str, Any],
    session: Session,
) -> Run:
    """Trains to the end or to a stop, whichever comes first, and writes how it went."""
    is_compiled = job.config.train.compile  # its steps; evaluation is not
    if suits_kernels(job) and not is_compiled and (why := why_lacking()):
        tell(f"steps take longer than with the kernels for this CPU: {why}")
    beginning = RunStart(
        folder,
        job.config.model_dump(mode="json"),
        environment,
        total_steps=job.total_steps,
        steps_per_epoch=job.steps_per_epoch,
        resumed_at=progress.step if folder.metrics.exists() else None,
    )
    # as there are now: a config may name more, of the machine that the run began on
    threads = torch.get_num_threads() if job.device.type == "cpu" else 1
    status: Status = "completed"
    reason, verdict, cold = "reached its last step", None, None
    with session.stop_request() as stopping:
        trackers = open_trackers(beginning, show=session.show)
        folder.outcome.unlink(missing_ok=True)
        try:
            if has_cold_start(job) and progress.step < job.total_steps:
                tell("a cold start, of seconds to minutes, before the training clock runs")
                cold = start_cold(job)
            watch = Watch(job, progress, folder, trackers, stopping, session.on_eval)
            watch.recall(beginning.past)
            with on_own_cores(threads), kept_memory():
                fit(job, progress, watch)
                watch.end()
                verdict = conclude(job, progress, watch.last_evaluation(), folder, trackers)
        except Stop as stop:
            status, reason = stop.status, stop.reason
        except BaseException as error:
            status = "failed" if isinstance(error, Exception) else "interrupted"
            reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            outcome = _outcome(status, reason, job, progress, verdict, cold)
            trackers.finish(outcome)
            if status in ENDED and not job.config.train.keep_weights:
                checkpoint.drop_after(folder.checkpoints, 0)
            folder.write_outcome(outcome)  # last: it says that nothing more will change
    if session.stopping is None:
        stopping.obey()
    return Run(folder, job.config, outcome)


def _outcome(
    status: Status,
    reason: str,
    job: Job,
    progress: Progress,
    verdict: Verdict | None,
    cold: float | None,
) -> Outcome:
    test = verdict.test if verdict else None
    return Outcome(
        status=status,
        reason=reason,
        epochs=progress.step / job.steps_per_epoch,
        steps=progress.step,
        train_seconds=progress.clock.read(),
        wall_seconds=progress.wall.read(),
        cold_start_seconds=cold,
        images_seen=progress.images_seen,
        gradients=progress.gradients,
        val_loss=progress.val_loss,
        val_accuracy=progress.val_accuracy,
        best_val_accuracy=progress.best_val_accuracy,
        val_accuracy_tta=verdict.val.accuracy_tta if verdict else None,
        test_loss=test.loss if test else None,
        test_accuracy=test.accuracy if test else None,
        test_accuracy_tta=test.accuracy_tta if test else None,
        notes=job.images.notes,
    )
