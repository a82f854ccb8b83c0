"""What the training loop costs a step, over a raw loop on the same batches, net and optimizer.

Both draw their batches from the same code, so what differs is the loop: the closure, finite
checks, counting, schedule, measuring every tenth step, looking for signals and checkpoints.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch.nn.functional as F

from fallline.data import load
from fallline.records import RunFolder
from fallline.track.fanout import open_trackers
from fallline.track.tracker import RunStart
from fallline.training.assemble import assemble
from fallline.training.fit import fit
from fallline.training.job import Job
from fallline.training.layers import Layer, preset_layer
from fallline.training.progress import Progress
from fallline.training.resolve import resolve
from fallline.training.settle import settle
from fallline.training.signals import stop_on_signals
from fallline.training.splits import split
from fallline.training.watch import Watch

ROUNDS = 12
SETTINGS = {
    "data": "synthetic",
    "model": {"name": "mlp", "widths": [32]},
    "optimizer": "sgd",
    "batch_size": 8,
    "epochs": 4,
    "train": {"precision": "fp32", "threads": 1, "eval_every": 1000, "device": "cpu"},
    "data.augment": {"flip": "off", "shift": 0},
}


def job() -> Job:
    config = resolve([preset_layer("steady"), Layer("bench", SETTINGS)]).config
    images = load(config.data.name)
    splits = split(config, images)
    return assemble(settle(config, images, len(splits.train)), images, splits, fresh=True)


def raw() -> float:
    """Seconds a step of the loop anybody would write."""
    this = job()
    this.model.train()
    began = time.perf_counter()
    steps = 0
    for epoch in range(4):
        for batch in this.feeds.train.epoch(epoch):
            this.optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(this.model(batch.inputs), batch.targets, label_smoothing=0.1)
            loss.backward()  # type: ignore[no-untyped-call]
            this.optimizer.step()
            steps += 1
    return (time.perf_counter() - began) / steps


def ours() -> float:
    """Seconds a step of `fit`, by the clock on the wall, evaluation left out."""
    this = job()
    progress = Progress(this.device)
    with tempfile.TemporaryDirectory() as place, stop_on_signals() as stopping:
        folder = RunFolder(Path(place))
        start = RunStart(folder, this.config.model_dump(mode="json"), {}, this.total_steps, 1)
        tracker = open_trackers(start, show="quiet")
        fit(this, progress, Watch(this, progress, folder, tracker, stopping))
    return progress.clock.read() / progress.step


def measure() -> list[dict[str, Any]]:
    """Microseconds a step of both loops in turn, and what ours takes longer."""
    raw(), ours()  # what is slow the first time
    pairs = [(1e6 * raw(), 1e6 * ours()) for _ in range(ROUNDS)]
    columns = {
        "a raw loop": [plain for plain, _ in pairs],
        "fallline's": [mine for _, mine in pairs],
        "difference": [mine - plain for plain, mine in pairs],
    }
    return [_row(name, values) for name, values in columns.items()]


def _row(name: str, values: list[float]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"name": name, "us a step": middle, "low": low, "high": high, "rounds": len(values)}
