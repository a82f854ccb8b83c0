"""Runs to report on, trained once, and a browser to read reports with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, DRIVER, Browser
from comparison_folder import make_comparison
from sweep_folder import make_sweep

from fallline import train

SMALL = {
    "epochs": 4,
    "model": {"name": "convnet", "widths": [16, 16, 16]},
    "train": {"threads": 1, "precision": "fp32"},
    "track": {"tensorboard": False, "pictures": False},
}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; tests that need it are skipped where it is missing."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium is not here: apt-get install chromium chromium-driver")
    opened = Browser()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small training on digits."""
    out = tmp_path_factory.mktemp("runs")
    return train(data="digits", settings=SMALL, out=out, name="one", show="quiet").path


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of eight trials, most of two seeds, one diverged, one pruned."""
    return make_sweep(tmp_path_factory.mktemp("sweeps"))


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three optimizers on two models: three configurations, three seeds, one diverges."""
    return make_comparison(tmp_path_factory.mktemp("comparisons"), ("mlp", "convnet"))
