"""How long each training of a comparison may be: read from text, turned into settings."""

from __future__ import annotations

import re
from typing import Any, Final

from fallline.compare.plan import Budget, Unit
from fallline.contest.pace import Pace
from fallline.errors import ConfigError

ALLOWED: Final = "2ep (epochs), 500steps, 1000grads (gradients), 30s or 5min (of training)"
_UNITS: Final[dict[str, tuple[Unit, float]]] = {
    "ep": ("epochs", 1),
    "epoch": ("epochs", 1),
    "step": ("steps", 1),
    "grad": ("gradients", 1),
    "gradient": ("gradients", 1),
    "": ("seconds", 1),  # of "s", whose s is taken for a plural
    "sec": ("seconds", 1),
    "second": ("seconds", 1),
    "min": ("seconds", 60),
    "h": ("seconds", 3600),
}


def parse(text: str) -> Budget:
    """A budget from text like 2ep, 500steps, 1000grads, 30s. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    word = found[2].removesuffix("s") if found and found[2] else None
    if found is None or word not in _UNITS or float(found[1]) <= 0:
        raise ConfigError("cannot read the budget", seen=text, allowed=ALLOWED)
    unit, factor = _UNITS[word]
    amount = float(found[1]) * factor
    if unit in ("steps", "gradients") and amount != int(amount):
        raise ConfigError(f"there are no parts of {unit}", seen=text, allowed="a whole number")
    return Budget(amount, unit)


def length(budget: Budget, gradients_per_step: float, pace: Pace | None) -> dict[str, Any]:
    """The settings that make a training as long as the budget; its schedule ends there.

    Args:
        budget: of one training.
        gradients_per_step: what a step of its optimizer costs.
        pace: how fast the configuration was seen to train; needed for a budget in seconds.
    """
    if budget.unit == "epochs":
        return {"train.epochs": budget.amount, "train.max_steps": None}
    if budget.unit == "seconds":
        assert pace is not None
        steps = pace.steps_in(budget.amount)
    elif budget.unit == "gradients":
        steps = max(1, int(budget.amount // gradients_per_step))
    else:
        steps = int(budget.amount)
    return {"train.epochs": float(steps), "train.max_steps": steps}  # an epoch has 1 step or more
