"""How fast a configuration trains: what turns a budget in seconds into a number of steps.

A schedule has to know its end. So before its training proper each configuration runs a few steps,
its rate rising from 0, and the training gets as many steps as fit into the budget: start-up
(allocation) is charged, and the schedule is annealed to that end. What compilers take before the
training clock runs is not. What that clock then really showed stands in the results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fallline.records import RunFolder

STEPS: Final = 40
MEASURED_EVERY: Final = 5  # steps
WARM: Final = 10  # steps, after which start-up is over
SETTINGS: Final = {
    "train.epochs": float(STEPS),
    "train.max_steps": STEPS,
    "schedule.name": "linear",
    "schedule.warmup": 1.0,
    "track.every": MEASURED_EVERY,
    "track.tensorboard": False,
    "track.wandb": "off",
}
"""What makes a training one that measures pace; its rate rises all the way."""


@dataclass(frozen=True)
class Pace:
    """Seconds of the training clock: of the start-up beyond its steps, and of each step."""

    startup_seconds: float
    step_seconds: float

    def steps_in(self, seconds: float) -> int:
        """The steps that fit; at least one."""
        return max(1, int((seconds - self.startup_seconds) / self.step_seconds))


def pace_of(folder: RunFolder) -> Pace | None:
    """What the run of a few steps in a folder says, though it diverged; None without a step."""
    outcome = folder.read_outcome()
    if outcome is None or not outcome.steps:
        return None
    marks = [r for r in folder.read_metrics() if "train/batch_loss" in r and r["step"] > WARM]
    steps, seconds = outcome.steps, outcome.train_seconds
    if marks and marks[0]["step"] < steps:
        first = marks[0]
        each = (seconds - first["train_seconds"]) / (steps - first["step"])
    else:
        each = seconds / steps
    each = max(each, 1e-6)
    return Pace(max(0.0, seconds - steps * each), each)
