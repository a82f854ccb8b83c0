"""A config as trackers show it: flat, typed, grouped over seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Setting = bool | int | float | str


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The config by dotted keys; lists stay lists."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        inner = isinstance(value, Mapping) and value
        found |= flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return found


def shared_by_seeds(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a config that runs differing in seed and trackers alone have in common."""
    return {key: value for key, value in config.items() if key not in ("seed", "track")}


def group_name(config: Mapping[str, Any]) -> str:
    """A name that runs have in common if they differ in seed and trackers alone."""
    text = json.dumps(shared_by_seeds(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def hyperparameters(config: Mapping[str, Any]) -> dict[str, Setting]:
    """What `shared_by_seeds` holds, flat: bools, numbers and texts as they are, lists as text.

    What is not set (None, empty) is left out.
    """
    told = {}
    for name, value in flat(shared_by_seeds(config)).items():
        if value is None or value in ({}, []):
            continue
        told[name] = value if isinstance(value, Setting) else json.dumps(value)
    return told
