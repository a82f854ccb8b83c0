"""Trials an hour: one thread for each of as many workers as there are cores, or all for one.

Whole sweeps are timed, start included, in turn.
"""

from __future__ import annotations

import contextlib
import io
import time
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.timing import alternate
from fallline.machine import usable_cores
from fallline.sweep.local import Local
from fallline.sweep.session import run

CORES = usable_cores()
MODELS = ("mlp", "convnet")
FILE: dict[str, Any] = {
    "method": "grid",
    "metric": {"name": "val/accuracy", "goal": "maximize"},
    "parameters": {
        "epochs": {"value": 1},
        "optimizer": {"values": ["sgd", "adam"]},
        "learning_rate": {"values": np.geomspace(0.003, 0.03, max(2, CORES)).tolist()},
    },
}
TRIALS = 2 * max(2, CORES)
ROUNDS = 3


def measure(data: str) -> list[dict[str, Any]]:
    """A row for each model and way: trials an hour, and their ratio to one after another."""
    rows = []
    for model in MODELS:
        ways = {
            f"{model}, {workers} at a time": partial(_an_hour, data, model, workers)
            for workers in dict.fromkeys((1, CORES))
        }
        rows += alternate(ways, rounds=ROUNDS, baseline=0)
    return rows


def _an_hour(data: str, model: str, workers: int) -> float:
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        began = time.perf_counter()
        settings = {"model": model, "train.device": "cpu"}
        run(FILE, data=data, settings=settings, out=folder, on=Local(workers), show="quiet")
        return TRIALS * 3600 / (time.perf_counter() - began)
