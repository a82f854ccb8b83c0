"""A sweep of small trainings, and its search on a study of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fallline.sweep.control import FileControl
from fallline.sweep.extension import FOR_TRIALS
from fallline.sweep.file import read
from fallline.sweep.search import SweepSearch
from fallline.sweep.store import open_store
from fallline.sweep.study import Study
from fallline.sweep.tasks import TaskMaker

SMALL: dict[str, Any] = {
    "method": "random",
    "metric": {"name": "val/accuracy", "goal": "maximize"},
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 0.003, "max": 0.3},
        "batch_size": {"values": [40, 80]},
        "optimizer": {"value": "sgd"},
        "model": {"value": "mlp"},
        "model.widths": {"value": [16]},
        "epochs": {"value": 2},
    },
    "run_cap": 4,
    "fallline": {"data": "synthetic"},
}


@pytest.fixture
def small() -> dict[str, Any]:
    """Four configurations of a training that takes a third of a second."""
    return {**SMALL}


OpenSearch = Callable[..., SweepSearch]


@pytest.fixture
def open_search(tmp_path: Path) -> Iterator[OpenSearch]:
    """Opens the search of a sweep, on a study in the test's folder, or opens it again."""
    with ExitStack() as stack:

        def open_it(
            values: dict[str, Any], where: str | None = None, name: str = "sweep"
        ) -> SweepSearch:
            stack.close()  # the coordinator before this one has gone
            file = read(values, layers=[FOR_TRIALS])
            store = stack.enter_context(open_store(where, tmp_path / name, name))
            study = Study(store, name, file, None)
            tasks = TaskMaker(file, name, tmp_path / name)
            return SweepSearch(file, study, FileControl(file, study, tasks))

        yield open_it
