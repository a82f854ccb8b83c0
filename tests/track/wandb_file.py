"""What else a `.wandb` file tells: to see what W&B would be sent."""

from __future__ import annotations

import json
from typing import Any

from fallline.track.wandb_file import messages, rows

__all__ = ["config", "messages", "rows", "summary"]


def config(found: list[Any]) -> dict[str, Any]:
    """The config the run began with."""
    (run,) = [m.run for m in found if m.WhichOneof("record_type") == "run"]
    return {item.key: json.loads(item.value_json) for item in run.config.update}


def summary(found: list[Any]) -> dict[str, Any]:
    """What the summary was set to."""
    updates = [m.summary.update for m in found if m.WhichOneof("record_type") == "summary"]
    return {
        "/".join(i.nested_key) or i.key: json.loads(i.value_json)
        for items in updates
        for i in items
    }
