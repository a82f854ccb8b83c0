"""A training that came to no end of its own: its folder says so, and a comparison can end."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fallline.errors import RunError
from fallline.records import Outcome, RunFolder
from fallline.storage import write_atomically
from fallline.sweep.backend import Failed, Lost, Task


def bury(task: Task, result: Failed | Lost) -> None:
    """Leaves the outcome `failed` where a training was given up, or failed before it was a run.

    What it used up stays on record. A folder without environment.json never became a run: another
    try begins anew there.
    """
    folder = RunFolder(task.out / task.key)
    outcome = None
    with suppress(RunError):  # one that cannot be read is none
        outcome = folder.read_outcome()
    if outcome is not None and outcome.status != "interrupted":
        return
    reason = result.message if isinstance(result, Failed) else result.reason
    if not folder.config.exists():
        write_atomically(folder.trial, json.dumps(dict(task.trial), indent=2) + "\n")
        write_atomically(folder.config, json.dumps(dict(task.config), indent=2) + "\n")
    folder.write_outcome(replace(outcome or _so_far(folder), status="failed", reason=reason))


def _so_far(folder: RunFolder) -> Outcome:
    """What its measurements say that it used up."""
    records: list[dict[str, Any]] = []
    with suppress(RunError):
        records = folder.read_metrics()
    last = records[-1] if records else {}
    seconds = float(last.get("train_seconds", 0))
    return Outcome(
        "failed",
        "",
        epochs=float(last.get("epoch", 0)),
        steps=int(last.get("step", 0)),
        train_seconds=seconds,
        wall_seconds=seconds,
        images_seen=0,
        gradients=int(last.get("gradients", 0)),
    )
