"""A sweep's folder as the coordinator leaves it: real trainings, and copies of them."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fallline import Pruned, train
from fallline.records import Record

SPACE = {
    "optimizer": "one of sgd, adamw, muon",
    "lr": "0.0003 to 0.3, logarithmic",
    "weight_decay": "0 or 0.0005",
}
FACTS: dict[str, Any] = {
    "name": "digits-three-optimizers",
    "method": "random",
    "metric": {"name": "val/accuracy", "goal": "maximize"},
    "file": "method: random\nmetric: {name: val/accuracy, goal: maximize}\n",
    "fingerprint": "0123456789abcdef",
    "seeds": 2,
    "space": SPACE,
    "command": "/opt/env/bin/fallline sweep digits.yaml --data digits",
    "data": "digits",
}
BASE = {
    "epochs": 3,
    "model": {"name": "mlp", "widths": [32]},
    "train": {"threads": 1, "precision": "fp32", "batch_size": 128},
    "track": {"tensorboard": False, "pictures": False},
    "data": {"test_at_end": False},
}


@dataclass(frozen=True)
class Point:
    """What a trial tries."""

    optimizer: str
    lr: float
    weight_decay: float

    @property
    def parameters(self) -> dict[str, Any]:
        """By dotted key, as trial.json has it."""
        return {
            "optim.name": self.optimizer,
            "optim.lr": self.lr,
            "optim.weight_decay": self.weight_decay,
        }


POINTS = (
    Point("sgd", 0.1, 0.0005),
    Point("sgd", 0.001, 0.0),
    Point("adamw", 0.01, 0.0005),
    Point("adamw", 0.0003, 0.0),
    Point("muon", 0.03, 0.0005),
    Point("muon", 0.0005, 0.0),
)
DIVERGES = Point("sgd", 1e5, 0.0)


def make_sweep(out: Path) -> Path:
    """Six trials of two seeds, one that diverges and one that is pruned, in `out`/NAME."""
    folder = out / str(FACTS["name"])
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(json.dumps(FACTS))
    for number, point in enumerate((*POINTS, DIVERGES, POINTS[1])):
        seeds = (0, 1) if number < len(POINTS) else (0,)
        for seed in seeds:
            _train(folder, number, seed, point, prune=number == len(POINTS) + 1)
    return folder


def _train(folder: Path, number: int, seed: int, point: Point, *, prune: bool) -> None:
    def on_eval(record: Record) -> None:
        if prune:
            raise Pruned("worse than two thirds of the others at band 1")

    name = f"trial-{number:04d}-seed-{seed}"
    settings = BASE | point.parameters | {"seed": seed}
    run = train(
        data="digits", settings=settings, out=folder, name=name, show="quiet", on_eval=on_eval
    )
    keep_trial(run.path, number, seed, point.parameters)


def keep_trial(run: Path, number: int, seed: int, parameters: dict[str, Any]) -> None:
    """Writes trial.json."""
    plain = {"sweep": FACTS["name"], "trial": number, "seed": seed, "parameters": parameters}
    (run / "trial.json").write_text(json.dumps(plain))


def copied(sweep: Path, count: int, out: Path) -> Path:
    """A sweep of `count` trials whose folders are copies, with rates and scores that vary."""
    big = out / "big"
    big.mkdir()
    (big / "sweep.json").write_text(json.dumps(FACTS | {"name": "big", "seeds": 1}))
    draw = random.Random(0)
    sources = sorted(path.parent for path in sweep.glob("*/trial.json"))
    for number in range(count):
        source = sources[number % len(sources)]
        target = big / f"trial-{number:04d}-seed-0"
        target.mkdir()
        for kept in ("config.json", "environment.json", "metrics.jsonl", "outcome.json"):
            shutil.copy(source / kept, target)
        _vary(target, number, draw)
    shutil.copy(source / "predictions.npz", target) if (source / "predictions.npz").exists() else 0
    return big


def _vary(run: Path, number: int, draw: random.Random) -> None:
    config = json.loads((run / "config.json").read_text())
    optimizer = config["optim"]["name"]
    best = {"sgd": -1.2, "adamw": -2.2, "muon": -1.7}[optimizer]
    power = draw.uniform(-3.5, -0.5)
    factor = max(0.1, 1 - 0.25 * (power - best) ** 2 + draw.gauss(0, 0.02))
    config["optim"]["lr"] = 10**power
    (run / "config.json").write_text(json.dumps(config))
    lines = "".join(json.dumps(line) + "\n" for line in _scaled(run, factor))
    (run / "metrics.jsonl").write_text(lines)
    decay = config["optim"]["weight_decay"]
    parameters = Point(optimizer, 10**power, decay).parameters
    keep_trial(run, number, 0, parameters)


def _scaled(run: Path, factor: float) -> Iterator[dict[str, Any]]:
    for text in (run / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        for name in ("val/accuracy", "train/accuracy"):
            if line.get(name):
                line[name] = min(0.999, line[name] * factor)
        yield line
