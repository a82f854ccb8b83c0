"""Runs to report on, trained once, and a browser to read reports with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, DRIVER, Browser
from comparison_folder import make_comparison
from filelock import FileLock
from sweep_folder import make_sweep

from fallline import train

Make = Callable[[str, Callable[[Path], Path]], Path]
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
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Make:
    """Makes a folder once for all processes of the test run."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "reported"

    def make(name: str, build: Callable[[Path], Path]) -> Path:
        root.mkdir(exist_ok=True)
        done = root / f"{name}.txt"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                done.write_text(str(build(root / name)))
        return Path(done.read_text())

    return make


@pytest.fixture(scope="session")
def digits_run(shared: Make) -> Path:
    """A small training on digits."""

    def build(out: Path) -> Path:
        return train(data="digits", settings=SMALL, out=out, name="one", show="quiet").path

    return shared("runs", build)


@pytest.fixture(scope="session")
def sweep(shared: Make) -> Path:
    """A sweep of eight trials, most of two seeds, one diverged, one pruned."""
    return shared("sweeps", make_sweep)


@pytest.fixture(scope="session")
def comparison(shared: Make) -> Path:
    """Three optimizers on two models: three configurations, three seeds, one diverges."""
    return shared("comparisons", lambda out: make_comparison(out, ("mlp", "convnet")))
