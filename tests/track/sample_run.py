"""A small run as trackers see it: two epochs of four steps, with everything a training logs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from fallline.config import RunConfig
from fallline.errors import Status
from fallline.records import Outcome, Record, RunFolder
from fallline.track.tracker import RunStart, Tracker

STEPS_PER_EPOCH, EPOCHS = 4, 2
STEPS = STEPS_PER_EPOCH * EPOCHS
VAL_BATCHES = 3

ENVIRONMENT = {
    "device_name": "a CPU",
    "parameters": 12_345,
    "data": {"name": "digits", "train_images": 1_400, "validation": "validated on 100 images"},
}


def config(**changes: Any) -> dict[str, Any]:
    """A complete config as plain data; `track_wandb="offline"` sets `track.wandb`."""
    plain = RunConfig.model_validate(
        {
            "optim": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
            "train": {"max_steps": STEPS},
        }
    ).model_dump(mode="json")
    for dotted, value in changes.items():
        section, _, name = dotted.partition("_")
        if name:
            plain[section][name] = value
        else:
            plain[dotted] = value
    return plain


def start_of(
    out: Path, name: str = "a-run", *, resumed_at: int | None = None, **changes: Any
) -> RunStart:
    """A new run folder's start, or that of one gone on with."""
    folder = RunFolder.named(out, name)
    folder.path.mkdir(parents=True, exist_ok=True)
    return RunStart(folder, config(**changes), ENVIRONMENT, STEPS, STEPS_PER_EPOCH, resumed_at)


def records(after: int = 0, until: int = STEPS) -> list[Record]:
    """Every record of the steps after `after` up to `until`."""
    found: list[Record] = []
    for step in range(after + 1, until + 1):
        epoch = (step - 1) // STEPS_PER_EPOCH + 1
        found.append(Record("batch", step, epoch, step / 10, batch_values(step)))
        if step % STEPS_PER_EPOCH == 0:
            for index in range(VAL_BATCHES):
                place = (epoch - 1) * VAL_BATCHES + index + 1
                values = {"val/batch_loss": 2.0 / place, "val/batch": place}
                found.append(Record("batch", step, epoch, step / 10, values))
            found.append(Record("epoch", step, epoch, step / 10, epoch_values(epoch)))
    return found


def batch_values(step: int) -> dict[str, float | str]:
    return {
        "train/batch_loss": 2.0 / step,
        "lr": 0.1 - step / 100,
        "images_per_second": 1000.0,
        "grad_norm": 1.0 + step,
    }


def epoch_values(epoch: int) -> dict[str, float | str]:
    return {
        "train/loss": 1.5 / epoch,
        "train/accuracy": 0.25 * epoch,
        "val/loss": 1.75 / epoch,
        "val/accuracy": 0.375 * epoch,
        "lr": 0.1 / epoch,
        "batch_size": 350,
        "weight_norm": 10.0 + epoch,
        "grad_norm": 3.0,
        "images_per_second": 1000.0,
        "optimizer": "sgd",
    }


def outcome(status: Status = "completed", reason: str = "reached its last step") -> Outcome:
    return Outcome(
        status=status,
        reason=reason,
        epochs=2.0,
        steps=STEPS,
        train_seconds=0.8,
        wall_seconds=1.5,
        images_seen=2_800,
        val_loss=0.875,
        val_accuracy=0.75,
        best_val_accuracy=0.75,
        test_accuracy=0.7,
    )


PICTURE = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)


def log_all(tracker: Tracker, after: int = 0, until: int = STEPS) -> None:
    for record in records(after, until):
        tracker.log(record)


def whole_run(tracker: Tracker, status: Status = "completed") -> None:
    """Logs everything, shows a picture, finishes."""
    log_all(tracker)
    tracker.show("confusion/test", PICTURE, STEPS)
    tracker.finish(outcome(status))


class Late:
    """A tracker that takes long to open, and only then asks what was before."""

    def __init__(self, start: RunStart) -> None:
        time.sleep(0.2)
        assert len(start.past) < len(start.folder.read_metrics())

    def log(self, record: Record) -> None:
        """Keeps nothing."""

    def show(self, name: str, picture: np.ndarray, step: int) -> None:
        """Keeps nothing."""

    def finish(self, outcome: Outcome) -> None:
        """Has nothing to end."""
