"""One run, from settings to a finished folder: begun by `train`, gone on with by `resume`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from fallline.config import RunConfig
from fallline.errors import DeviceError, Pruned, RunError, Status, Stop
from fallline.models.kernels import why_lacking
from fallline.records import Outcome, Record, RunFolder
from fallline.storage import write_atomically
from fallline.track.fanout import open_trackers
from fallline.track.terminal import Show, drawn_progress, tell
from fallline.track.tracker import RunStart
from fallline.training import checkpoint
from fallline.training.assemble import assemble
from fallline.training.claim import claimed
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
from fallline.training.resolve import Layer, Resolved, preset_layer, read_config, resolve
from fallline.training.session import Session
from fallline.training.settle import from_anywhere, settle
from fallline.training.splits import split
from fallline.training.state import check_images, restore
from fallline.training.threads import on_own_cores
from fallline.training.watch import OnEval, Watch

ENDED: tuple[Status, ...] = ("completed", "diverged", "pruned")
SECONDS_FOR_THE_LAST_LIFE = 60.0  # to save and leave, when whoever started it was killed


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


def train(
    preset: str = "steady",
    *,
    data: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    show: Show = "auto",
    on_eval: OnEval | None = None,
) -> Run:
    """Trains one classifier and leaves a run folder.

    Args:
        preset: a row of `fallline list presets`; what everything else is laid over.
        data: a row of `fallline list data`, or a folder or archive of images. Without it the
            preset's, and digits where that needs a network that is not there.
        settings: fields by dotted key or short name, e.g. {"optimizer": "adamw", "lr": 1e-3}.
        out: the folder that gets the run folder.
        name: the run folder's name; by default from time, model and optimizer.
        show: what to print: auto, bar, lines, quiet, json or silent.
        on_eval: called with each evaluated epoch's record; raises `Pruned` to end the run. On
            Linux its thread may be bound to one core meanwhile, and so is what it starts.

    Returns the run; a loss that is not finite ends it with the outcome `diverged`.

    Raises ConfigError with every fault of the settings before any work, DataError, DeviceError,
    RunError, StorageError; after Ctrl-C or SIGTERM, when the run is saved, KeyboardInterrupt or
    SystemExit(143).
    """
    layers = [preset_layer(preset), Layer("settings", settings or {})]
    layers += [Layer("data", {"data": str(data)})] if data is not None else []
    return begin(resolve(layers), out=out, name=name, session=Session(show, on_eval))


def begin(
    resolved: Resolved,
    *,
    out: str | Path = "runs",
    name: str | None = None,
    trial: Mapping[str, Any] | None = None,
    session: Session = Session(),  # noqa: B008  it is frozen
) -> Run:
    """What `train` does, from settings that are resolved already.

    `trial` is the content of trial.json, where the run is one of a sweep or a comparison.
    """
    folder = RunFolder.named(out, name or _default_name(resolved.config))
    with claimed(folder):
        if folder.config.exists():
            raise RunError(
                "the run folder exists already",
                seen=str(folder.path),
                next=f"choose another --name, or go on with it: fallline resume {folder.path}",
            )
        return _start(resolved, folder, trial, session)


def begin_or_resume(
    resolved: Resolved,
    *,
    out: str | Path,
    name: str,
    trial: Mapping[str, Any] | None = None,
    session: Session = Session(),  # noqa: B008  it is frozen
) -> Run:
    """The run of that folder, whatever an earlier life left there.

    A run that ended is returned as it is, after `on_eval` was told its evaluations; one that was
    stopped or killed goes on; one that had not become a run begins.
    """
    folder = RunFolder.named(out, name)
    with claimed(folder, wait=SECONDS_FOR_THE_LAST_LIFE):
        outcome = folder.read_outcome()
        if outcome is not None and outcome.status in ENDED:
            _tell_again(folder, session.on_eval)
            return Run(folder, read_config(folder), outcome)
        if folder.config.exists() and folder.environment.exists():
            return _go_on(folder, session)
        return _start(resolved, folder, trial, session)


def resume(
    path: str | Path,
    *,
    data: str | Path | None = None,
    show: Show = "auto",
    on_eval: OnEval | None = None,
) -> Run:
    """Goes on with a run after any kind of stop, from its last whole checkpoint.

    On a CPU with the same number of threads, and with kernels if it had them, it ends with the
    weights and measurements of a run that was never stopped, bit for bit. `data` is where its
    images lie now, if they were moved. `on_eval` is told the epochs evaluated before the stop
    first. Raises RunError for a run that is complete or diverged, and what `train` raises.
    """
    folder = RunFolder.open(path)
    with claimed(folder):
        _refuse_ended(folder)
        return _go_on(folder, Session(show, on_eval), data)


def _default_name(config: RunConfig) -> str:
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{now}-{config.model.name}-{config.optim.name}-{secrets.token_hex(4)}"


def _tell_again(folder: RunFolder, on_eval: OnEval | None) -> None:
    """Tells what a run was evaluated to that has ended: no verdict changes that."""
    for record in map(Record.from_plain, folder.read_metrics()):
        if on_eval is not None and record.is_evaluation:
            with suppress(Pruned):
                on_eval(record)


def _refuse_ended(folder: RunFolder) -> None:
    outcome = folder.read_outcome()
    if outcome is not None and outcome.status in ("completed", "diverged"):
        raise RunError(
            f"there is nothing to go on with: the run {outcome.status}",
            seen=f"{folder.path}: {outcome.reason}",
            next="start a new run: fallline train"
            + (
                " --set lr=..., a lower one"
                if outcome.status == "diverged"
                else " --set epochs=..."
            ),
        )


def _start(
    resolved: Resolved, folder: RunFolder, trial: Mapping[str, Any] | None, session: Session
) -> Run:
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


def _go_on(folder: RunFolder, session: Session, data: str | Path | None = None) -> Run:
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
    if suits_kernels(job) and (why := why_lacking()):
        tell(f"steps take up to twice as long as with the kernels for this CPU: {why}")
    start = RunStart(
        folder,
        job.config.model_dump(mode="json"),
        environment,
        total_steps=job.total_steps,
        steps_per_epoch=job.steps_per_epoch,
        resumed_at=progress.step if folder.metrics.exists() else None,
    )
    threads = job.config.train.threads if job.device.type == "cpu" else 1
    status: Status = "completed"
    reason, verdict = "reached its last step", None
    with session.stop_request() as stopping:
        trackers = open_trackers(start, show=session.show)
        folder.outcome.unlink(missing_ok=True)
        watch = Watch(job, progress, folder, trackers, stopping, session.on_eval)
        try:
            watch.recall(start.past)
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
            outcome = _outcome(status, reason, job, progress, verdict)
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
) -> Outcome:
    test = verdict.test if verdict else None
    return Outcome(
        status=status,
        reason=reason,
        epochs=progress.step / job.steps_per_epoch,
        steps=progress.step,
        train_seconds=progress.clock.read(),
        wall_seconds=progress.wall.read(),
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
