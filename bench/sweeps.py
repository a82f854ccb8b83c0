"""What a trial costs beside its training: seconds between the ends of trials, less that.

Everyone runs one trial at a time. What ours write into a run's folder belongs to the training, so
Ray Tune's trials, which train nothing and load no torch, write no logs either. What is paid once,
starting processes and Ray, is not counted.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.timing import alternate
from fallline.sweep.backend import Place
from fallline.sweep.local import Local
from fallline.sweep.session import run
from fallline.training.run import train

TRIALS = 8
PROCESSES = 3  # they take long
ROUNDS = 3
SETTINGS: dict[str, Any] = {
    "model": "mlp",
    "model.widths": [16],
    "optimizer": "sgd",
    "epochs": 1,
    "train.device": "cpu",
    "train.threads": 1,
    "data.test_at_end": False,
    "track.pictures": False,
    "tensorboard": False,
}
FILE: dict[str, Any] = {
    "method": "random",
    "metric": {"name": "val/accuracy", "goal": "maximize"},
    "parameters": {"learning_rate": {"min": 0.01, "max": 0.1}},
    "run_cap": TRIALS,
    "fallline": {"data": "digits"},
}


def measure() -> list[dict[str, Any]]:
    """A row for each way: overhead per trial in seconds, and its ratio to Ray Tune's."""
    from fallline.sweep.ray_place import QUIETLY, RayCluster

    os.environ.update(QUIETLY, TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1")  # before Ray is imported
    import ray

    ray.init(
        address="local", include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
    )
    try:
        ways: dict[str, Callable[[], float]] = {
            "fallline --on local": lambda: _sweep(Local(1)),
            "fallline --on ray": lambda: _sweep(RayCluster(workers=1)),
            "a process per trial": _processes,
            "Ray Tune, empty trials": lambda: _tune(reuse_actors=False),
            "Ray Tune, empty trials, actors reused": lambda: _tune(reuse_actors=True),
        }
        return alternate(ways, rounds=ROUNDS, baseline=3)
    finally:
        ray.shutdown()


def _sweep(place: Place) -> float:
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        run(FILE, settings=SETTINGS, out=folder, on=place, show="quiet")
        ends = [path.stat().st_mtime for path in Path(folder).rglob("outcome.json")]
    return _between(ends) - _training()


def _processes() -> float:
    words = [f"--set={key}={value}" for key, value in SETTINGS.items()]
    command = [sys.executable, "-m", "fallline", "train", "--data", "digits", "--quiet", *words]
    with TemporaryDirectory() as folder:
        ends = []
        for _ in range(PROCESSES):
            subprocess.run([*command, "--out", folder], check=True, capture_output=True)
            ends.append(time.time())
    return _between(ends) - _training()


def _tune(reuse_actors: bool) -> float:
    """The seconds of empty trials, of which nothing has to be taken off."""
    from ray import tune

    ends: list[float] = []

    class Noted(tune.Callback):
        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            ends.append(time.time())

    def nothing(config: dict[str, float]) -> None:
        tune.report({"accuracy": config["learning_rate"]})

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        tune.Tuner(
            nothing,
            param_space={"learning_rate": tune.uniform(0.01, 0.1)},
            tune_config=tune.TuneConfig(
                num_samples=TRIALS,
                max_concurrent_trials=1,
                reuse_actors=reuse_actors,  # False by default
                metric="accuracy",
                mode="max",
            ),
            run_config=tune.RunConfig(storage_path=folder, callbacks=[Noted()], verbose=0),
        ).fit()
    return _between(ends)


def _between(ends: list[float]) -> float:
    return (max(ends) - min(ends)) / (len(ends) - 1)


def _training() -> float:
    """The seconds of such a training alone, in a process that has all loaded."""
    seconds = []
    with TemporaryDirectory() as folder:
        for number in range(5):
            began = time.perf_counter()
            train(data="digits", settings=SETTINGS, out=folder, name=f"run{number}", show="silent")
            seconds.append(time.perf_counter() - began)
    return median(seconds)
