"""What each optimizer of the table costs a training step, against SGD's step on the same net."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from bench.machine import autocast_on, dtype_on
from bench.timing import alternate
from fallline.errors import ConfigError
from fallline.models.convnet import Convnet
from fallline.optim.build import build
from fallline.optim.table import OPTIMIZERS
from fallline.training.heap import kept_memory
from fallline.training.losses import LOSSES
from fallline.training.step import Step
from fallline.training.threads import on_own_cores

CPU = torch.device("cpu")
BATCH, STEPS, ROUNDS = 500, 3, 7
WIDTHS = (64, 128, 128)


def measure() -> list[dict[str, Any]]:
    """A row for each optimizer: ms a step, and its ratio to SGD's. The images do not matter."""
    steppers = {}
    for name in ["sgd", *(row.name for row in OPTIMIZERS if row.name != "sgd")]:
        try:
            steppers[name] = _stepper(name)
        except ConfigError as fault:  # torch's Muon takes no filters, and a net has little else
            print(f"left out: {fault}")
    with on_own_cores(torch.get_num_threads()), kept_memory():  # as in a run
        return alternate(steppers, rounds=ROUNDS, baseline=0)


def _stepper(name: str) -> Callable[[], float]:
    torch.manual_seed(0)
    net = Convnet((3, 32, 32), 10, widths=WIDTHS).to(memory_format=torch.channels_last)
    optimizer = build(name, net, lr=1e-4)
    step = Step(
        net,
        net.parameters(),
        optimizer,
        partial(LOSSES["cross_entropy"].value, smoothing=0.1, reduction="mean"),
        autocast=lambda: autocast_on(CPU),
        clip=0.0,
    )
    inputs = torch.randn(BATCH, 3, 32, 32)
    inputs = inputs.to(dtype_on(CPU), memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (BATCH,))

    def milliseconds() -> float:
        step(inputs, labels, measure=False)  # the caches are this optimizer's
        began = time.perf_counter()
        for _ in range(STEPS):
            step(inputs, labels, measure=False)
        return 1e3 * (time.perf_counter() - began) / STEPS

    return milliseconds
