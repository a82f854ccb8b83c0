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
SPRINTERS = ("fast70", "plain", "cycle")


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


def sprint(data: str, rounds: int, limit: float) -> list[Curve]:
    """Ours and the plain loops to 70 %, in turn, `rounds` times, another seed each."""
    return [run(racer, data, seed, SPRINT, limit) for seed in range(rounds) for racer in SPRINTERS]


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


def sprint_rows(curves: list[Curve]) -> list[dict[str, Any]]:
    """For each round, seconds to 70 % of all and their ratios to ours; then the median ratios.

    A rival who missed is taken to arrive at its last score; a round that ours missed, or where a
    rival has no score, counts as 0.
    """
    rows: list[dict[str, Any]] = []
    ours, *others = SPRINTERS
    for seed in sorted({curve.seed for curve in curves}):
        raced = {curve.racer: curve for curve in curves if curve.seed == seed}
        row: dict[str, Any] = {"name": f"round {seed + 1}"}
        for racer in SPRINTERS:
            row[f"{racer} to {SPRINT:.0%}"] = raced[racer].seconds_to(SPRINT)
        mine = raced[ours].seconds_to(SPRINT)
        for other in others:
            theirs = raced[other].seconds_to(SPRINT) or raced[other].last[0]
            row[f"{other} / ours"] = theirs / mine if mine and theirs else 0.0
        rows.append(row)
    ratios = {
        f"{other} / ours": median(row[f"{other} / ours"] for row in rows) for other in others
    }
    return [*rows, {"name": f"median of {len(rows)} ratios", **ratios}]


def distance_row(curve: Curve) -> dict[str, Any]:
    """Seconds to each target, the last score and the process's seconds."""
    return {
        "name": curve.racer,
        **{f"to {target:.0%}": curve.seconds_to(target) for target in TARGETS},
        "last accuracy": curve.last[1],
        "training seconds": curve.last[0],
        "process seconds": curve.wall_seconds,
    }
