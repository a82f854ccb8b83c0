"""What each preset claims, by its own runs: accuracy over seeds, seconds, share of the peak."""

from __future__ import annotations

from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from torch.utils.flop_counter import FlopCounterMode

from fallline import train
from fallline.data import load
from fallline.training.assemble import assemble, settle, split
from fallline.training.resolve import Layer, preset_layer, resolve
from fallline.training.run import Run


def measure(data: str, names: list[str], seeds: int, peak: float) -> list[dict[str, Any]]:
    """A row for each preset, run `seeds` times; `peak` in GFLOP/s."""
    return [_row(name, data, seeds, peak) for name in names]


def _row(name: str, data: str, seeds: int, peak: float) -> dict[str, Any]:
    config = resolve([preset_layer(name), Layer("data", {"data": data})]).config
    cold = _run(name, data, 0).outcome.train_seconds if config.train.compile else None
    runs = [_run(name, data, seed) for seed in range(seeds)]
    flop = runs[0].outcome.images_seen * flop_per_image(name, data)
    seconds = sorted(run.outcome.train_seconds for run in runs)[seeds // 2]
    plain = [accuracy(run) for run in runs]
    averaged = [accuracy(run, tta=True) for run in runs]
    return {
        "name": name,
        "n": seeds,
        "accuracy": mean(plain),
        "deviation": stdev(plain) if seeds > 1 else None,
        "lowest": min(plain),
        "accuracy with views": mean(averaged),
        "training seconds": seconds,
        "TFLOP": flop / 1e12,
        "share of peak": flop / seconds / 1e9 / peak,
        "cold": cold,  # training seconds of a first run that compiles
    }


def _run(name: str, data: str, seed: int) -> Run:
    print(f"  {name}, seed {seed}", flush=True)
    with TemporaryDirectory() as place:
        settings = {"seed": seed, "train.tta": "flip_shift"}
        return train(name, data=data, settings=settings, out=place, show="quiet")


def accuracy(run: Run, *, tta: bool = False) -> float:
    """On the test split, which a preset either validates on or scores at the end."""
    outcome = run.outcome
    plain = outcome.test_accuracy if outcome.test_accuracy is not None else outcome.val_accuracy
    views = outcome.test_accuracy_tta or outcome.val_accuracy_tta
    assert plain is not None
    return views if tta and views is not None else plain


def flop_per_image(name: str, data: str) -> float:
    """FLOP of forward and backward pass of one image trained on, counted by torch.

    Where a small net chooses the images, its work on all of them is shared among those. What
    optimizers compute is left out.
    """
    config = resolve([preset_layer(name), Layer("data", {"data": data})]).config
    images = load(config.data.name)
    splits = split(config, images)
    job = assemble(settle(config, images, len(splits.train)), images, splits, fresh=False)
    batch = next(iter(job.feeds.train.epoch(0)))
    inputs, targets = batch.inputs.float(), batch.targets
    kept = max(1, round(config.train.hardest * len(targets)))
    with FlopCounterMode(display=False) as counter:
        if job.proxy:
            job.image_loss(job.proxy.net(inputs), targets).mean().backward()  # type: ignore[no-untyped-call]
        loss = job.image_loss(job.model(inputs[:kept]), targets[:kept]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops()) / kept
