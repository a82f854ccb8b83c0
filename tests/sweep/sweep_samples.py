"""A sweep file to vary, and the faults of a variation."""

from __future__ import annotations

from typing import Any

import pytest

from fallline.errors import ConfigError
from fallline.sweep.file import SweepFile, read

HOMEWORK: dict[str, Any] = {
    "method": "grid",
    "metric": {"name": "val/accuracy", "goal": "maximize"},
    "parameters": {
        "optimizer": {"values": ["sgd", "adam"]},
        "learning_rate": {"values": [0.001, 0.01]},
        "batch_size": {"values": [64, 128]},
        "epochs": {"value": 5},
    },
    "fallline": {"data": "digits"},
}


def changed(**parts: Any) -> SweepFile:
    """The homework with other sections; None leaves one out."""
    return read({k: v for k, v in {**HOMEWORK, **parts}.items() if v is not None})


def searching(method: str = "random", **parameters: Any) -> SweepFile:
    return changed(method=method, parameters=parameters)


def faults(**parts: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        changed(**parts)
    return str(caught.value)


def faults_of(method: str = "random", **parameters: Any) -> str:
    return faults(method=method, parameters=parameters)
