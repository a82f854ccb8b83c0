"""One run, from settings to a finished folder: `train` begins one, `resume` goes on with one."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fallline.config import RunConfig
from fallline.data import ImageSet
from fallline.errors import Interrupted, RunError, Status, Stop
from fallline.records import Outcome, RunFolder
from fallline.storage import write_atomically
from fallline.track.fanout import open_trackers
from fallline.track.terminal import Show, drawn_progress, tell
from fallline.track.tracker import RunStart, Tracker
from fallline.training import checkpoint
from fallline.training.assemble import Job, assemble, settle, split
from fallline.training.conclude import Verdict, conclude
from fallline.training.environment import describe
from fallline.training.fit import fit
from fallline.training.images import load_images, load_or_fall_back
from fallline.training.progress import Progress
from fallline.training.resolve import Layer, Resolved, preset_layer, resolve
from fallline.training.signals import stop_on_signals
from fallline.training.state import restore
from fallline.training.watch import OnEval, Watch


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
        show: what to print: auto, bar, lines, quiet or json.
        on_eval: called with each evaluated epoch's record; raises `Pruned` to end the run.

    Returns the run; a loss that is not finite ends it with the outcome `diverged`.

    Raises ConfigError with every fault of the settings before any work, DataError, DeviceError,
    RunError, StorageError; after Ctrl-C or SIGTERM, when the run is saved, KeyboardInterrupt or
    SystemExit(143).
    """
    layers = [preset_layer(preset), Layer("settings", settings or {})]
    layers += [Layer("data", {"data": str(data)})] if data is not None else []
    return begin(resolve(layers), out=out, name=name, show=show, on_eval=on_eval)


def begin(
    resolved: Resolved,
    *,
    images: ImageSet | None = None,
    trial: Mapping[str, Any] | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    show: Show = "auto",
    on_eval: OnEval | None = None,
) -> Run:
    """What `train` does, from settings that are resolved already.

    Args beside `train`'s:
        images: the images, where the caller has them open.
        trial: the content of trial.json, where the run is one of a sweep or a comparison.
    """
    if images is None:
        resolved, images = load_or_fall_back(resolved, drawn_progress(show))
    splits = split(resolved.config, images)
    config = settle(resolved.config, images, len(splits.train))
    folder = RunFolder.create(Path(out), name or _default_name(config))
    with _locked(folder):
        job = assemble(config, images, splits, fresh=True)
        environment = describe(job, dict(resolved.origins))
        write_atomically(folder.environment, json.dumps(environment, indent=2) + "\n")
        if trial is not None:
            write_atomically(folder.trial, json.dumps(dict(trial), indent=2) + "\n")
        write_atomically(folder.config, config.model_dump_json(indent=2) + "\n")  # now it is a run
        return _carry_out(job, Progress(job.device), folder, environment, show, on_eval)


def resume(
    path: str | Path,
    *,
    images: ImageSet | None = None,
    show: Show = "auto",
    on_eval: OnEval | None = None,
) -> Run:
    """Goes on with a run after any kind of stop, from its last whole checkpoint.

    On a CPU with the same number of threads it ends with the weights and measurements of a run
    that was never stopped, bit for bit. `on_eval` is told the epochs evaluated before the stop
    first. Raises RunError for a run that is complete or diverged, and what `train` raises.
    """
    folder = RunFolder.open(path)
    with _locked(folder):
        _refuse_ended(folder)
        config = RunConfig.model_validate(folder.read_config())
        images = images or load_images(config.data, drawn_progress(show))
        state = _last_state(folder, show)
        job = assemble(config, images, split(config, images), fresh=state is None)
        progress = Progress(job.device)
        if state is not None:
            restore(job, progress, state)
        checkpoint.drop_after(folder.checkpoints, progress.step + 1)
        return _carry_out(job, progress, folder, folder.read_environment(), show, on_eval)


def _default_name(config: RunConfig) -> str:
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{now}-{config.model.name}-{config.optim.name}-{secrets.token_hex(2)}"


@contextmanager
def _locked(folder: RunFolder) -> Iterator[None]:
    """Two processes must not go on with one run."""
    lock = FileLock(folder.path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(
            "the run is under way in another process",
            seen=str(folder.path),
            next="wait for it, or stop it first",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _refuse_ended(folder: RunFolder) -> None:
    outcome = folder.read_outcome()
    if outcome is not None and outcome.status in ("completed", "diverged"):
        raise RunError(
            f"there is nothing to go on with: the run {outcome.status}",
            seen=f"{folder.path}: {outcome.reason}",
            next="start a new run (fallline train), with a lower lr if it diverged",
        )


def _last_state(folder: RunFolder, show: Show) -> dict[str, Any] | None:
    """The last checkpoint's state; None where the run was stopped before its first."""
    if not checkpoint.list_checkpoints(folder.checkpoints):
        return None
    loaded = checkpoint.load_latest(folder.checkpoints)
    for line in loaded.damaged:
        tell(line)
    return loaded.state


def _carry_out(
    job: Job,
    progress: Progress,
    folder: RunFolder,
    environment: dict[str, Any],
    show: Show,
    on_eval: OnEval | None,
) -> Run:
    """Trains to the end or to a stop, whichever comes first, and writes how it went."""
    folder.outcome.unlink(missing_ok=True)
    start = RunStart(
        folder,
        job.config.model_dump(mode="json"),
        environment,
        total_steps=job.total_steps,
        steps_per_epoch=job.steps_per_epoch,
        resumed_at=progress.step if folder.metrics.exists() else None,
    )
    trackers = open_trackers(start, show=show)
    stop, verdict = None, None
    with stop_on_signals() as stopping:
        watch = Watch(job, progress, folder, trackers, stopping, on_eval)
        try:
            watch.recall(start.past)
            fit(job, progress, watch)
            watch.save()
            verdict = conclude(job, progress, watch.last_evaluation(), folder, trackers)
        except Stop as raised:
            stop = raised
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            _end(folder, trackers, _outcome("failed", reason, job, progress, None))
            raise
    reason = stop.reason if stop else "reached its last step"
    outcome = _outcome(stop.status if stop else "completed", reason, job, progress, verdict)
    _end(folder, trackers, outcome)
    if isinstance(stop, Interrupted):
        raise KeyboardInterrupt if stop.signum == signal.SIGINT else SystemExit(128 + stop.signum)
    return Run(folder, job.config, outcome)


def _end(folder: RunFolder, tracker: Tracker, outcome: Outcome) -> None:
    """Trackers first: the outcome's file says that nothing more will change."""
    tracker.finish(outcome)
    folder.write_outcome(outcome)


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
        val_loss=progress.val_loss,
        val_accuracy=progress.val_accuracy,
        best_val_accuracy=progress.best_val_accuracy,
        val_accuracy_tta=verdict.val.accuracy_tta if verdict else None,
        test_loss=test.loss if test else None,
        test_accuracy=test.accuracy if test else None,
        test_accuracy_tta=test.accuracy_tta if test else None,
        notes=job.images.notes,
    )
