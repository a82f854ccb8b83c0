"""A small run, quick to train, with everything in it."""

from __future__ import annotations

from typing import Any

import pytest

SMALL: dict[str, Any] = {
    "epochs": 2,
    "model": {"name": "convnet", "widths": [16, 16, 16]},
    "batch_size": 80,
    "train": {"eval_batch_size": 64, "threads": 1, "precision": "fp32"},
    "track": {"tensorboard": False, "every": 3},
}


@pytest.fixture
def small() -> dict[str, Any]:
    """Settings of a run of 18 steps on the synthetic set, about a second."""
    return dict(SMALL)
