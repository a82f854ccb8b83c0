"""Time to an accuracy: each racer in a process of its own, one after the other, in turn."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

from bench.racers import RACERS

TARGETS = (0.7, 0.8, 0.9)
SPRINT = 0.7  # the target that is raced for in turn, several times
SPRINTERS = ("fast70", "cycle")  # the better of the plain loops


@dataclass(frozen=True)
class Curve:
    """One race of one racer.

    Attributes:
        racer: a row of `RACERS`.
        seed: of its initialization and data order.
        points: (training seconds, accuracy on the test split) of each score.
        wall_seconds: of the whole process.
    """

    racer: str
    seed: int
    points: list[tuple[float, float]]
    wall_seconds: float

    def seconds_to(self, target: float) -> float | None:
        """Training seconds to the first score of at least `target`; None if it was missed."""
        return next((seconds for seconds, accuracy in self.points if accuracy >= target), None)

    @property
    def last(self) -> tuple[float, float] | tuple[None, None]:
        """The last point; of a racer that diverged before its first there is none."""
        return self.points[-1] if self.points else (None, None)


def sprint(data: str, rounds: int, limit: float) -> Iterator[list[Curve]]:
    """Ours and the plain loop to 70 %, in turn, `rounds` times, another seed each."""
    for seed in range(rounds):
        yield [run(racer, data, seed, SPRINT, limit) for racer in SPRINTERS]


def distance(data: str, racers: list[str], limit: float) -> Iterator[Curve]:
    """Each racer once to the last target, or as far as it comes, as soon as it is there.

    Raises SystemExit at once if there is no such racer, or what one needs is not installed.
    """
    if unknown := set(racers) - {racer.name for racer in RACERS}:
        known = ", ".join(racer.name for racer in RACERS)
        raise SystemExit(f"no racer {', '.join(sorted(unknown))}; there are {known}")
    if "lightning" in racers and find_spec("lightning") is None:
        raise SystemExit("lightning is not installed; next: make bench installs it")
    for racer in racers:
        yield run(racer, data, 0, TARGETS[-1], limit)


def run(racer: str, data: str, seed: int, target: float, limit: float) -> Curve:
    """One race in a fresh process."""
    print(f"  {racer}, seed {seed}, to {target:.0%} or {limit:.0f} s", flush=True)
    command = [sys.executable, "-m", "bench.racers", racer, data, str(seed)]
    began = time.perf_counter()
    points = []
    with subprocess.Popen(
        [*command, str(target), str(limit)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("{"):
                score = json.loads(line)
                points.append((score["seconds"], score["accuracy"]))
                print("    {seconds:.1f} s  {accuracy:.1%}".format(**score), flush=True)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return Curve(racer, seed, points, time.perf_counter() - began)


def sprint_row(curves: list[Curve]) -> dict[str, Any]:
    """Of one round: seconds of training to 70 %, and how many times ours they and the process are.

    A rival who missed is taken to arrive at its last score; a round that ours missed, or where a
    rival has no score, counts as 0.
    """
    raced = {curve.racer: curve for curve in curves}
    row: dict[str, Any] = {"name": f"round {curves[0].seed + 1}"}
    row |= {f"{racer} to {SPRINT:.0%}": raced[racer].seconds_to(SPRINT) for racer in SPRINTERS}
    ours, *others = SPRINTERS
    mine, process = raced[ours].seconds_to(SPRINT), raced[ours].wall_seconds
    for other in others:
        theirs = raced[other].seconds_to(SPRINT) or raced[other].last[0]
        row[f"{other} / ours"] = theirs / mine if mine and theirs else 0.0
        row[f"{other} / ours, process"] = raced[other].wall_seconds / process if mine else 0.0
    return row


def sprint_medians(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each ratio."""
    ratios = [key for key in rows[0] if " / " in key]
    found = {key: median(row[key] for row in rows) for key in ratios}
    return {"name": f"median of {len(rows)} ratios", **found}


def distance_row(curve: Curve) -> dict[str, Any]:
    """Seconds to each target, the last score and the process's seconds."""
    return {
        "name": curve.racer,
        **{f"to {target:.0%}": curve.seconds_to(target) for target in TARGETS},
        "last accuracy": curve.last[1],
        "training seconds": curve.last[0],
        "process seconds": curve.wall_seconds,
    }
