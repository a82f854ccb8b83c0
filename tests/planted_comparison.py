"""A comparison's folder as trainings would leave it, with results that are planted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline.compare.plan import Axis, Budget, Contestant, Plan
from fallline.records import Outcome, Record, RunFolder

STEPS_PER_EPOCH = 10
SECONDS_PER_STEP = 0.02
SPACE = (
    Axis("optim.lr", "log", 1e-3, 1.0),
    Axis("optim.momentum", "choice", values=(0.8, 0.9, 0.95)),
)


@dataclass(frozen=True)
class Fate:
    """How a training goes: `accuracies` of its epochs on val; on test it scores `test`."""

    accuracies: tuple[float, ...]
    test: float | None = None
    status: Any = "completed"


Fates = Callable[[str, str, str, int, int], Fate | None]
"""From workload, optimizer, phase, trial and seed to the fate; None: it was not begun."""


def plan(
    optimizers: tuple[str, ...] = ("sgd", "adam", "sam"),
    *,
    workloads: tuple[str, ...] = ("mlp",),
    configs: int = 4,
    seeds: tuple[int, ...] = (1, 2, 3),
) -> Plan:
    """A plan whose configurations are spread evenly over SPACE."""
    configurations = tuple(
        {"optim.lr": 10 ** (-3 + 3 * (i + 0.5) / configs), "optim.momentum": 0.9}
        for i in range(configs)
    )
    contestants = tuple(
        Contestant(name, SPACE, configurations, 2.0 if name == "sam" else 1.0, {})
        for name in optimizers
    )
    return Plan(
        name="planted",
        command="fallline compare --name planted",
        base="neutral",
        settings={},
        data="digits",
        workloads=workloads,
        contestants=contestants,
        budget=Budget(2, "epochs"),
        tuning_seed=0,
        seeds=seeds,
    )


def plant(path: Path, plan: Plan, fates: Fates) -> Path:
    """Writes the folder `path`: every configuration, and every repeat that has a fate."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "plan.json").write_text(plan.to_json())
    for workload in plan.workloads:
        for contestant in plan.contestants:
            name = contestant.optimizer
            for trial, parameters in enumerate(contestant.configurations):
                cases = [("tune", plan.tuning_seed), *(("repeat", s) for s in plan.seeds)]
                for phase, seed in cases:
                    fate = fates(workload, name, phase, trial, seed)
                    told = {
                        "comparison": plan.name,
                        "phase": phase,
                        "workload": workload,
                        "optimizer": name,
                        "trial": trial,
                        "seed": seed,
                        "parameters": dict(parameters),
                    }
                    if fate is not None:
                        _write(
                            path / f"{phase}-{workload}-{name}-{trial:02d}-seed{seed}", told, fate
                        )
    return path


def _write(path: Path, told: dict[str, Any], fate: Fate) -> None:
    folder = RunFolder(path)
    passes = 2 if told["optimizer"] == "sam" else 1  # a step
    path.mkdir()
    folder.config.write_text(json.dumps({"seed": told["seed"]}))
    folder.environment.write_text(json.dumps(ENVIRONMENT))
    folder.trial.write_text(json.dumps(told))
    records = [
        Record(
            "epoch",
            (i + 1) * STEPS_PER_EPOCH,
            i + 1,
            (i + 1) * STEPS_PER_EPOCH * SECONDS_PER_STEP,
            {
                "val/accuracy": accuracy,
                "val/loss": 1 - accuracy,
                "gradients": (i + 1) * STEPS_PER_EPOCH * passes,
            },
        )
        for i, accuracy in enumerate(fate.accuracies)
    ]
    folder.metrics.write_text("".join(record.as_json() + "\n" for record in records))
    steps = len(records) * STEPS_PER_EPOCH
    last = fate.accuracies[-1] if fate.accuracies else None
    folder.write_outcome(
        Outcome(
            status=fate.status,
            reason="planted",
            epochs=len(records),
            steps=steps,
            train_seconds=steps * SECONDS_PER_STEP,
            wall_seconds=steps * SECONDS_PER_STEP,
            images_seen=steps,
            gradients=steps * passes,
            val_accuracy=last,
            val_loss=None if last is None else 1 - last,
            best_val_accuracy=last,
            test_accuracy=fate.test,
        )
    )


ENVIRONMENT = {
    "versions": {"python": "3.11.9", "torch": "2.15.0"},
    "device_name": "a planted CPU",
    "precision": "fp32",
    "threads": 1,
    "data": {
        "name": "digits",
        "fingerprint": "0123456789abcdef",
        "classes": [str(digit) for digit in range(10)],
        "shape": [1, 8, 8],
        "train_images": 1294,
        "val_images": 143,
        "test_images": 10_000,
        "validation": "validated on 143 images held out of the training split",
    },
}
