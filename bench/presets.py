"""What each preset claims, by its own runs: accuracy over seeds, seconds, FLOP."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean, median, stdev
from tempfile import TemporaryDirectory
from typing import Any

from bench.utilization import job_of, step_flop
from fallline import train
from fallline.training.life import Run


def measure(data: str, names: list[str], seeds: int) -> Iterator[dict[str, Any]]:
    """A row for each preset, run `seeds` times."""
    return (_row(name, data, seeds) for name in names)


def _row(name: str, data: str, seeds: int) -> dict[str, Any]:
    job = job_of(name, data)
    tta = job.config.train.tta
    views = "flip_shift" if tta == "off" else tta
    runs = [_run(name, data, seed, views) for seed in range(seeds)]
    runs = [run for run in runs if run.outcome.status == "completed"]
    ended = {"name": name, "n": len(runs), "diverged": seeds - len(runs)}
    if not runs:
        return ended
    flop = runs[0].outcome.steps * step_flop(job)
    seconds = sorted(run.outcome.train_seconds for run in runs)
    plain = [accuracy(run) for run in runs]
    averaged = [accuracy(run, tta=True) for run in runs]
    return {
        **ended,
        **_spread("accuracy", plain),
        "views": views,
        **_spread("with views", averaged),
        "training seconds": median(seconds),
        "least": seconds[0],
        "most": seconds[-1],
        "TFLOP": flop / 1e12,
        "GFLOP/s": flop / 1e9 / median(seconds),
        "cold start": runs[0].outcome.cold_start_seconds,  # before its training
    }


def _spread(name: str, values: list[float]) -> dict[str, float | None]:
    deviation = stdev(values) if len(values) > 1 else None
    return {name: mean(values), f"{name}: sd": deviation, f"{name}: lowest": min(values)}


def _run(name: str, data: str, seed: int, views: str) -> Run:
    print(f"  {name}, seed {seed}", flush=True)
    with TemporaryDirectory() as place:
        settings = {"seed": seed, "train.tta": views}
        return train(name, data=data, settings=settings, out=place, show="quiet")


def accuracy(run: Run, *, tta: bool = False) -> float:
    """On the test split, which a preset either validates on or scores at the end."""
    outcome = run.outcome
    plain = outcome.test_accuracy if outcome.test_accuracy is not None else outcome.val_accuracy
    views = outcome.test_accuracy_tta or outcome.val_accuracy_tta
    assert plain is not None
    return views if tta and views is not None else plain
