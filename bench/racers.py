"""Who races to an accuracy: ours by preset, and what people use instead.

Each racer trains on the train split, scores the test split with its clock stopped, and tells
`on_point` seconds of training and accuracy; it ends when told to, or when its recipe does.

python -m bench.racers NAME DATA SEED TARGET LIMIT     one race alone, a JSON line per score
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from fallline.errors import Pruned
from fallline.registry import Table, load
from fallline.training.threads import set_threads

OnPoint = Callable[[float, float], bool]
"""Takes training seconds and accuracy (a fraction); True ends the race."""


@dataclass(frozen=True)
class Racer:
    """A row: `run(data, seed, on_point)`; `endless` ones are those that a limit has to end."""

    name: str
    summary: str
    run: Callable[[str, int, OnPoint], None]
    endless: bool = False


def ours(preset: str, settings: dict[str, Any], data: str, seed: int, on_point: OnPoint) -> None:
    """A preset of Fallline by `fallline.train`, scored after every epoch."""
    from fallline import train

    def on_eval(record: Any) -> None:
        if on_point(record.train_seconds, record.values["val/accuracy"]):
            raise Pruned("the race is over")

    every = {
        "data.validate_on": "test",
        "train.device": "cpu",  # where the others are
        "train.eval_every": 1,
        "train.tta": "off",
        "seed": seed,
    }
    with TemporaryDirectory() as place:
        train(
            preset,
            data=data,
            settings=settings | every,
            out=place,
            show="quiet",
            on_eval=on_eval,
        )


def other(target: str, data: str, seed: int, on_point: OnPoint) -> None:
    """A loop of another kind, in a file of its own: the libraries it needs load only then."""
    load(target)(data, seed, on_point)


RACERS = Table(
    "racer",
    [
        *(
            Racer(name, f"fallline train {name}", partial(ours, name, {}))
            for name in ("fast70", "fast80", "fast90")
        ),
        Racer(
            "plain",
            "a plain PyTorch loop: DataLoader, torchvision transforms, three convolutions, SGD",
            partial(other, "bench.plain_loop:run"),
            endless=True,
        ),
        Racer(
            "cycle",
            "the plain loop with one cycle of its rate, the shortest found that reaches 70 %",
            partial(other, "bench.plain_loop:cycle"),
        ),
        Racer(
            "lightning",
            "Lightning's CIFAR-10 recipe: ResNet-18, SGD, one cycle of 30 epochs",
            partial(other, "bench.lightning_recipe:run"),
            endless=True,  # for a CPU
        ),
        Racer(
            "airbench",
            "airbench94_muon's recipe in our pieces: 64/256/256, 8 epochs in batches of 2000; "
            "its stem's biases train to the end, in the original for 3 epochs",
            partial(ours, "fast94", {"train.compile": False}),  # which pays on a GPU
        ),
    ],
)


def main(name: str, data: str, seed: str, target: str, limit: str) -> None:
    """Runs one racer to its end, until it reaches `target`, or, if endless, `limit` seconds."""
    racer = RACERS[name]
    set_threads(0)  # as many for all

    def on_point(seconds: float, accuracy: float) -> bool:
        print(json.dumps({"seconds": seconds, "accuracy": accuracy}), flush=True)
        return accuracy >= float(target) or (racer.endless and seconds >= float(limit))

    racer.run(data, int(seed), on_point)


if __name__ == "__main__":
    main(*sys.argv[1:])
