"""What the training loop costs a step, over a raw loop on the same batches, net and optimizer.

Both draw their batches from the same code, so what differs is the loop: the closure, finite
checks, counting, schedule, measuring every tenth step, logging, looking for signals and
checkpoints. By the clock on the wall; of ours, the short run is taken from the long one, so that
the evaluation and the files of a run's end, which both have, are not in it.
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
SHORT, LONG = 1, 21  # epochs
SETTINGS: dict[str, Any] = {
    "data": "synthetic",
    "model": {"name": "mlp", "widths": [32]},
    "optimizer": "sgd",
    "batch_size": 8,
    "train": {"precision": "fp32", "threads": 1, "eval_every": 1000, "device": "cpu"},
    "data.augment": {"flip": "off", "shift": 0},
}


def job(epochs: int) -> Job:
    layers = [preset_layer("steady"), Layer("bench", SETTINGS | {"epochs": epochs})]
    config = resolve(layers).config
    images = load(config.data.name)
    splits = split(config, images)
    return assemble(settle(config, images, len(splits.train)), images, splits, fresh=True)


def raw() -> float:
    """Seconds a step of the loop anybody would write."""
    epochs = LONG - SHORT
    this = job(epochs)
    this.model.train()
    began = time.perf_counter()
    steps = 0
    for epoch in range(epochs):
        for batch in this.feeds.train.epoch(epoch):
            this.optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(this.model(batch.inputs), batch.targets, label_smoothing=0.1)
            loss.backward()  # type: ignore[no-untyped-call]
            this.optimizer.step()
            steps += 1
    return (time.perf_counter() - began) / steps


def ours() -> float:
    """Seconds a step of `fit`."""
    (few, short), (many, long) = whole(SHORT), whole(LONG)
    return (long - short) / (many - few)


def whole(epochs: int) -> tuple[int, float]:
    """Steps and seconds of a whole `fit`."""
    this = job(epochs)
    progress = Progress(this.device)
    with tempfile.TemporaryDirectory() as place, stop_on_signals() as stopping:
        folder = RunFolder(Path(place))
        start = RunStart(folder, this.config.model_dump(mode="json"), {}, this.total_steps, 1)
        tracker = open_trackers(start, show="quiet")
        began = time.perf_counter()
        fit(this, progress, Watch(this, progress, folder, tracker, stopping))
        seconds = time.perf_counter() - began
    return progress.step, seconds


def measure() -> list[dict[str, Any]]:
    """Microseconds a step of both loops in turn, and what ours takes longer."""
    raw(), ours()  # what is slow the first time
    plain: list[float] = []
    mine: list[float] = []
    for turn in range(ROUNDS):
        for of, measure_one in ((plain, raw), (mine, ours))[:: -1 if turn % 2 else 1]:
            of.append(1e6 * measure_one())
    columns = {
        "a raw loop": plain,
        "fallline's": mine,
        "difference": [ours - raw for raw, ours in zip(plain, mine, strict=True)],
    }
    return [_row(name, values) for name, values in columns.items()]


def _row(name: str, values: list[float]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"name": name, "us a step": middle, "low": low, "high": high, "rounds": len(values)}
