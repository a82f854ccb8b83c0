"""One run, from settings to a finished folder: begun by `train`, gone on with by `resume`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from fallline.config import RunConfig
from fallline.errors import Pruned, RunError
from fallline.records import Record, RunFolder
from fallline.track.terminal import Show
from fallline.training.claim import claimed
from fallline.training.layers import Layer, preset_layer
from fallline.training.life import ENDED, Run, go_on, start
from fallline.training.resolve import Resolved, read_config, resolve
from fallline.training.session import Session
from fallline.training.watch import OnEval

SECONDS_FOR_THE_LAST_LIFE = 60.0  # to save and leave, when whoever started it was killed


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
            outcome = folder.read_outcome()
            ended = outcome is not None and outcome.status == "completed"
            raise RunError(
                "the run folder exists already",
                seen=f"{folder.path}{', which is completed' if ended else ''}",
                next="choose another --name"
                + ("" if ended else f", or go on with it: fallline resume {folder.path}"),
            )
        return start(resolved, folder, trial, session)


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
            return go_on(folder, session)
        return start(resolved, folder, trial, session)


def resume(
    path: str | Path,
    *,
    data: str | Path | None = None,
    show: Show = "auto",
    on_eval: OnEval | None = None,
) -> Run:
    """Goes on with a run after any kind of stop, from its last whole checkpoint.

    On a CPU with the same number of threads, and with the same kernels, it ends with the
    weights and measurements of a run that was never stopped, bit for bit. `data` is where its
    images lie now, if they were moved. `on_eval` is told the epochs evaluated before the stop
    first. Raises RunError for a run that is complete or diverged, and what `train` raises.
    """
    folder = RunFolder.open(path)
    with claimed(folder):
        _refuse_ended(folder)
        return go_on(folder, Session(show, on_eval), data)


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
