"""A small comparison, carried out once for every test that looks at what it left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fallline.compare.comparison import Comparison
from fallline.contest.run import run
from fallline.sweep.local import Local

TINY: dict[str, Any] = {
    "model.widths": [16],
    "batch_size": 80,
    "train.threads": 1,
    "train.precision": "fp32",
    "track.tensorboard": False,
    "track.every": 1,
}


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Settings of a training that takes a fraction of a second."""
    return dict(TINY)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Comparison]:
    """The folder of a comparison that nobody stopped, and its results."""
    out = tmp_path_factory.mktemp("whole")
    found = run(
        ["sgd", "adam", "sam"],
        data="synthetic",
        workloads=["mlp"],
        settings=TINY,
        configs=3,
        seeds=3,
        budget="2ep",
        out=out,
        name="whole",
        on=Local(2),
        show="quiet",
    )
    return out / "whole", found
