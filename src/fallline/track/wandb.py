"""Weights & Biases, by choice. Whatever happens to it, training neither stops nor waits.

Row n of a run's history is line n of its metrics.jsonl. A resumed run gives all its lines again:
what never arrived does now, and an offline run's newest folder is whole. Every series stands over
its own axis (axes.py). Files go to the run folder's `wandb/`. Console capture, code saving and
system metrics are off.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import shlex
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from fallline.errors import MissingExtra, RunError
from fallline.records import Outcome, Record, RunFolder
from fallline.storage import write_atomically
from fallline.track import axes
from fallline.track.terminal import clean, tell
from fallline.track.tracker import RunStart

SECONDS_TO_ANSWER: Final = 3.0
SECONDS_TO_BEGIN: Final = 5.0
SECONDS_TO_FINISH: Final = 10.0
LONGEST_TAG: Final = 64  # characters W&B takes

# wandb's own error telemetry: with a server that hangs it holds the process up to 30 s at its end
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
try:
    import wandb
except ImportError as error:
    raise MissingExtra("wandb", "wandb", "tracking with W&B") from error


class WandbTracker:
    """Sends measurements to W&B, or keeps them for `wandb sync` where it cannot be reached."""

    def __init__(self, start: RunStart) -> None:
        self._row = 0
        self._standing: set[str] = set()
        wandb.setup(wandb.Settings(silent=True))
        self._run = _begin(start)
        for record in start.past:  # a server that has these rows lets them go by
            self.log(record)

    def log(self, record: Record) -> None:
        """Adds a row."""
        axis = axes.axis(record)
        values = axes.drawn(record)
        for name in values:
            self._stand(name, axis)
        where = {"step": record.step, "epoch": record.epoch, "train_seconds": record.train_seconds}
        self._run.log(values | where | {axis: axes.place(record)}, step=self._row)
        self._row += 1

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Adds a picture to the last row."""
        self._run.log({name: wandb.Image(picture)}, step=max(0, self._row - 1))

    def finish(self, outcome: Outcome) -> None:
        """Hands over the outcome and waits for the rest to be sent, at most ten seconds."""
        self._run.summary.update(json.loads(outcome.as_json()))
        if outcome.status == "interrupted":
            self._run.mark_preempting()
        folder = Path(self._run.settings.sync_dir)
        try:
            self._run.finish(exit_code=0 if outcome.status in ("completed", "pruned") else 1)
        except TimeoutError:
            tell(f"W&B took not everything in {SECONDS_TO_FINISH:.0f} s; send it: {_sync(folder)}")
            return
        if self._run.offline:
            tell(f"W&B holds this run offline; send it: {_sync(folder)}")

    def _stand(self, name: str, axis: axes.Axis) -> None:
        if name not in self._standing:
            self._standing.add(name)
            self._run.define_metric(name, step_metric=axis)


@dataclass(frozen=True)
class Access:
    """What W&B is asked with: the addresses of its API and its pages, the key, the entity."""

    url: str
    pages: str
    key: str
    entity: str | None


def access() -> Access:
    """How to reach W&B. Raises RunError, within seconds, where it cannot be used."""
    wandb.setup(wandb.Settings(silent=True))
    trouble = _trouble()
    key = None if trouble else wandb.Api().api_key
    if key is None:
        raise RunError(
            "W&B cannot be the controller of this sweep",
            seen=trouble or "it is logged in to without an API key",
            next="wandb login, and see that its server can be reached; or run the same file "
            "without it: --on local",
        )
    settings = wandb.setup().settings
    return Access(settings.base_url, settings.app_url, key, settings.entity)


def _begin(start: RunStart) -> Any:
    """The run, online if that was asked for and works at once."""
    if start.config["track"]["wandb"] == "online":
        trouble = _trouble()
        if trouble is None:
            try:
                run = _init(start, "online", _sweep(start).get("run") or run_id(start.folder))
                tell(f"W&B: {run.url}")
                return run
            except Exception as error:  # it raises errors of a dozen families here
                trouble = str(error)
                run_id(start.folder, fresh=True)  # the failed attempt still holds the other
        tell(f"W&B goes on offline: {clean(trouble)}")
    return _init(start, "offline", run_id(start.folder))


def _init(start: RunStart, mode: Literal["online", "offline"], identity: str) -> Any:
    config, sweep = start.config, _sweep(start)
    return wandb.init(
        mode=mode,
        dir=str(start.folder.path),
        id=identity,
        name=start.name,
        entity=sweep.get("entity"),
        project=sweep.get("project") or config["track"].get("wandb_project"),
        group=config["track"].get("wandb_group"),
        tags=_tags(start),
        config={**config, **sweep.get("parameters", {})},  # under the names the sweep's file has
        resume="allow" if start.resumed_at is not None and mode == "online" else None,
        reinit="create_new",
        settings=_settings(sweep.get("sweep")),
    )


def _sweep(start: RunStart) -> Mapping[str, Any]:
    """What trial.json says of W&B's sweep that the run is one of; nothing for all others."""
    found: Mapping[str, Any] = start.trial.get("wandb", {})
    return found


def _settings(sweep: str | None) -> Any:
    """Without a sweep W&B's stop is SIGINT; with one it comes to the sweep's agents."""
    return wandb.Settings(
        sweep_id=sweep,
        stop_fn=(lambda: None) if sweep else None,
        silent=True,
        console="off",
        save_code=False,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        init_timeout=SECONDS_TO_BEGIN,
        finish_timeout=SECONDS_TO_FINISH,
        finish_timeout_raises=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )


def run_id(folder: RunFolder, *, fresh: bool = False) -> str:
    """The run's id at W&B: made up once and kept in its folder."""
    path = folder.wandb / "run-id"
    if fresh or not path.is_file():
        stem = re.sub(r"[^A-Za-z0-9_-]", "-", folder.path.name)[:100]
        write_atomically(path, f"{stem}-{secrets.token_hex(4)}")
    return path.read_text().strip()


def _trouble() -> str | None:
    """Why W&B cannot be used online, or None. Takes seconds, asks no one for a password."""
    host = wandb.setup().settings.base_url
    if not _answers(host):
        return f"{host} does not answer"
    try:
        if not wandb.login(prompt=False):
            return "no API key is set up; next: wandb login"
    except wandb.Error as error:
        return str(error)
    return None


def _answers(host: str) -> bool:
    """Whether anything answers there; in a thread, as looking up a name has no time limit."""
    found = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(host, timeout=SECONDS_TO_ANSWER).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        except (OSError, ValueError, http.client.HTTPException):
            return
        found.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SECONDS_TO_ANSWER)
    return found.is_set()


def _tags(start: RunStart) -> list[str]:
    config = start.config
    names = [config[section]["name"] for section in ("data", "model", "optim")]
    return sorted({clean(Path(name).name)[:LONGEST_TAG] for name in names} - {""})


def _sync(folder: Path) -> str:
    return f"wandb sync {shlex.quote(str(folder))}"
