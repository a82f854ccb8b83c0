"""The sections of a sweep file beside its parameters: W&B's, and ours under the key `fallline`."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from fallline.config import Count, Fraction, Positive, Section
from fallline.sweep.hyperband import Hyperband

METRICS = ("val/accuracy", "val/loss", "train/accuracy", "train/loss")
"""What every evaluated epoch of a run reports."""
UNSENT = ("fallline", "controller")
"""Keys that are not W&B's server's business."""
Method = Literal["grid", "random", "bayes"]
Sampler = Literal["tpe", "gp"]
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def seconds(value: Any) -> Any:
    """Text like 2h, 90m, 1h30m or 45s as seconds; anything else as it is."""
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.replace(" ", ""))
    if not found or not any(found.groups()):
        raise ValueError("no duration: write 2h, 90m, 1h30m, 45s, or a number of seconds")
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + rest


class Metric(Section):
    """What a sweep optimizes."""

    NUMBERS: ClassVar = ("target",)

    name: str
    goal: Literal["minimize", "maximize"] = "minimize"
    target: Annotated[float, Field(allow_inf_nan=False)] | None = None
    impute: Literal["latest", "best", "worst"] = "worst"
    impute_while_running: Literal["latest", "best", "worst", "false"] = "false"


class EarlyTerminate(Section):
    """W&B's early stopping as the file states it."""

    NUMBERS: ClassVar = ("min_iter", "max_iter", "s", "eta")

    type: Literal["hyperband"]
    min_iter: Count | None = None
    max_iter: Count | None = None
    s: Count | None = None
    eta: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 3.0
    strict: bool = True

    def rule(self) -> Hyperband:
        """The rule; max_iter and s win over min_iter. Raises ValueError if there is no band."""
        if self.max_iter is not None and self.s is not None:
            return Hyperband.downwards(self.max_iter, self.s, self.eta, self.strict)
        if self.min_iter is not None and self.max_iter is None:
            return Hyperband.upwards(self.min_iter, self.eta, self.strict)
        raise ValueError("does not say where its bands are")


class Budget(Section):
    """When a sweep ends; the first limit that is reached counts."""

    NUMBERS: ClassVar = ("trials", "epochs", "device_hours")

    trials: Count | None = Field(None, description="configurations")
    time: Annotated[Positive, BeforeValidator(seconds)] | None = Field(
        None, description="wall time: 2h, 90m, 1h30m, or seconds"
    )
    epochs: Positive | None = Field(None, description="epochs trained, over all runs")
    device_hours: Positive | None = Field(
        None, description="hours of devices in use, over all of them"
    )


class Extension(Section):
    """What stands under `fallline:`, less the pruner; W&B is never sent it."""

    NUMBERS: ClassVar = ("seed", "seeds", "per_device", "holdout")
    OWN_RUNS: ClassVar = ("base", "data", "seeds", "holdout")
    """Keys that say something of our trainings, and nothing of a foreign script's."""

    base: str = Field("steady", description="a preset, or a YAML or JSON file of settings")
    data: str | None = Field(None, description="a named image set, or a folder or archive")
    seed: int = Field(0, ge=0, description="of the draws of random and bayes")
    seeds: Count = Field(1, description="runs of a configuration, each with its own seed")
    budget: Budget = Budget()
    per_device: Count | None = Field(None, description="runs that share one device")
    holdout: int | Fraction | None = Field(
        None, description="images (or fraction) held out as val"
    )
    sampler: Sampler = Field("tpe", description="of bayes: tpe, or gp (a Gaussian process)")


REFUSED = {
    "scheduler": "the search of another engine at W&B; here it is method: bayes, with "
    "fallline: {sampler: tpe} or {sampler: gp}",
    "metrics": "several objectives at once; a sweep here optimizes one metric",
    "job": "W&B Launch starts it, from a queue of W&B's; here a sweep runs fallline itself or, by "
    "program and command, a script",
    "image_uri": "W&B Launch starts it, from a queue of W&B's; here a sweep runs fallline itself "
    "or, by program and command, a script",
}
"""Keys of W&B's that we cannot do, and why."""

KEYS = (
    "apiVersion",
    "kind",
    "name",
    "description",
    "project",
    "entity",
    "method",
    "metric",
    "parameters",
    "early_terminate",
    "run_cap",
    "program",
    "command",
    "controller",
    "fallline",
)
"""Every key that the top of a sweep file may have."""
