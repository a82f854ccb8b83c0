"""What the training loop costs a step, over a raw loop on the same batches, net and optimizer.

python bench/loop.py

Alternates the two, one epoch each, and prints the median difference in microseconds a step. Both
draw their batches from the same code, so what differs is the loop: the closure, finite checks,
counting, schedule, measuring every tenth step, looking for signals and checkpoints.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import torch.nn.functional as F

from fallline.data import load
from fallline.records import RunFolder
from fallline.track.fanout import open_trackers
from fallline.track.tracker import RunStart
from fallline.training.assemble import Job, assemble, settle, split
from fallline.training.fit import fit
from fallline.training.progress import Progress
from fallline.training.resolve import Layer, preset_layer, resolve
from fallline.training.signals import stop_on_signals
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


def main() -> None:
    raw(), ours()  # imports and kernels
    pairs = [(raw(), ours()) for _ in range(ROUNDS)]
    differences = [1e6 * (mine - plain) for plain, mine in pairs]
    print(f"raw loop   {1e6 * statistics.median(p for p, _ in pairs):7.0f} us a step")
    print(f"fallline   {1e6 * statistics.median(m for _, m in pairs):7.0f} us a step")
    low, _, high = statistics.quantiles(differences, n=4)
    print(
        f"difference {statistics.median(differences):7.0f} us (quartiles {low:.0f} to {high:.0f})"
    )


if __name__ == "__main__":
    main()
