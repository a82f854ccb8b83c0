"""The Ray backend on a real cluster of two nodes on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ray_cluster import ENVIRONMENT, Cluster

from fallline.records import RunFolder
from fallline.sweep.backend import Ended, Event, Failed, Lost, Reported, Task
from fallline.training.resolve import Layer, preset_layer, resolve

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed"),
]
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head node and one more; their caches are not the coordinator's, which is nowhere."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("FALLLINE_CACHE", "/dev/null/none")
        from ray._private.authentication_test_utils import reset_auth_token_state

        reset_auth_token_state()  # it read the environment when some test imported it
        running = Cluster(tmp_path_factory.mktemp("ray"))
        running.add()
        yield running
        running.close()


@pytest.fixture
def backend(cluster: Cluster) -> Iterator[Any]:
    from fallline.sweep.ray import RayCluster

    deadline = time.monotonic() + PATIENCE_SECONDS
    tasks = RayCluster(cluster.address).open(Path(), 1, "auto")
    while tasks.slots < sum(node.is_up for node in cluster.nodes):
        assert time.monotonic() < deadline, "the second node did not come"
        time.sleep(0.1)
    yield tasks
    tasks.close(save=False)


def task(out: Path, key: str, *, obeys: bool = False, holdout: int = 100, **settings: Any) -> Task:
    """A training of about a second."""
    given = {
        "data": "digits",
        "model": "mlp",
        "model.widths": [32],
        "epochs": 3,
        "tensorboard": False,
        "precision": "fp32",
        "track.every": 1,
        "data.holdout": holdout,
    }
    resolved = resolve([preset_layer("steady"), Layer("test", given | settings)])
    plain = resolved.config.model_dump(mode="json")
    return Task(key, out, plain, resolved.origins, {"trial": key}, obeys)


def events_until(backend: Any, ends: int) -> list[Event]:
    """All that happens until so many tasks have ended, each report answered with: go on."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(not isinstance(event, Reported) for event in events) < ends:
        assert time.monotonic() < deadline, events
        for event in backend.poll(1.0):
            events.append(event)
            if isinstance(event, Reported):
                backend.answer(event.key, None)
    return events


def measured(folder: Path) -> list[dict[str, Any]]:
    """What a run measured, without what the clock said."""
    lines = RunFolder(folder).read_metrics()
    clock = ("train_seconds", "images_per_second")
    return [{k: v for k, v in line.items() if k not in clock} for line in lines]


def test_a_run_on_any_node_is_the_run_it_is_here_and_its_images_came_once(
    backend: Any, cluster: Cluster, tmp_path: Path
) -> None:
    from fallline.config import RunConfig
    from fallline.training.resolve import Resolved
    from fallline.training.run import begin

    for key in "abcd":
        backend.submit(task(tmp_path / "ray", key))
    events = events_until(backend, ends=4)
    ended = {event.key: event.outcome for event in events if isinstance(event, Ended)}
    assert {outcome.status for outcome in ended.values()} == {"completed"}
    for key in "abcd":
        reports = [e.record.epoch for e in events if isinstance(e, Reported) and e.key == key]
        assert reports == [1, 2, 3]
    here = task(tmp_path, "here").with_threads(1)
    begin(Resolved(RunConfig.model_validate(here.config), here.origins), out=tmp_path, name="here")
    for key in "abcd":
        folder = RunFolder(tmp_path / "ray" / key)
        assert measured(folder.path) == measured(tmp_path / "here")
        assert folder.read_outcome() == ended[key]
        assert json.loads(folder.trial.read_text()) == {"trial": key}
        assert len(list(folder.checkpoints.iterdir())) == 1
    assert [len(node.sets) for node in cluster.nodes] == [1, 1]
    assert not any(list(node.scratch.glob("fallline-*")) for node in cluster.nodes)


def test_a_training_that_obeys_ends_at_exactly_the_evaluation_it_is_told_to(
    backend: Any, tmp_path: Path
) -> None:
    for key in "ab":
        backend.submit(task(tmp_path, key, obeys=True))
    ended: dict[str, Any] = {}
    while len(ended) < 2:
        for event in backend.poll(1.0):
            if isinstance(event, Reported):
                stops = event.key == "b" and event.record.epoch == 2
                backend.answer(event.key, "band 2, threshold 0.5" if stops else None)
            else:
                assert isinstance(event, Ended)
                ended[event.key] = event.outcome
    assert (ended["a"].status, ended["a"].epochs) == ("completed", 3)
    assert (ended["b"].status, ended["b"].epochs) == ("pruned", 2)
    assert ended["b"].reason == "band 2, threshold 0.5"
    assert RunFolder(tmp_path / "b").read_outcome() == ended["b"]


def test_what_a_training_raises_is_the_users_to_mend_and_comes_with_its_traceback(
    backend: Any, tmp_path: Path
) -> None:
    backend.submit(task(tmp_path, "a", holdout=10**6))
    (event,) = events_until(backend, ends=1)
    assert isinstance(event, Failed)
    assert event.kind == "user"
    assert "hold" in event.message
    assert "Traceback" in event.traceback


def test_a_stop_saves_every_run_and_brings_its_checkpoint_home(
    backend: Any, tmp_path: Path
) -> None:
    for key in "ab":
        backend.submit(task(tmp_path, key, epochs=500))
    reported: set[str] = set()
    while reported != {"a", "b"}:
        reported |= {event.key for event in backend.poll(1.0)}
    backend.close(save=True)
    ended = [event for event in backend.poll(0.0) if isinstance(event, Ended)]
    assert {event.key: event.outcome.status for event in ended} == {
        "a": "interrupted",
        "b": "interrupted",
    }
    for key in "ab":
        folder = RunFolder(tmp_path / key)
        (checkpoint,) = folder.checkpoints.glob("*.pt")
        outcome = folder.read_outcome()
        assert outcome is not None
        assert checkpoint.name.startswith(f"step{outcome.steps:08d}")


def test_a_node_that_is_killed_loses_no_finished_run_and_its_run_goes_on_elsewhere(
    backend: Any, cluster: Cluster, tmp_path: Path
) -> None:
    """It goes on from the last checkpoint that came home, as if it had never been stopped."""
    victim = cluster.nodes[1]
    assert victim.is_up
    long: dict[str, Any] = {"obeys": False, "epochs": 16, "train.checkpoint_seconds": 0.5}
    for key in "ab":
        backend.submit(task(tmp_path, key))
    events_until(backend, ends=2)
    before = {key: (tmp_path / key / "outcome.json").read_bytes() for key in "ab"}
    for key in "cd":
        backend.submit(task(tmp_path, key, **long))
    while not all(list((tmp_path / key).glob("checkpoints/*.pt")) for key in "cd"):
        backend.poll(0.1)
    victim.kill()
    began = time.monotonic()
    (lost,) = [e for e in events_until(backend, ends=1) if not isinstance(e, Reported)]
    assert isinstance(lost, Lost)
    assert time.monotonic() - began < 30
    came_home = max((tmp_path / lost.key).glob("checkpoints/*.pt")).name
    backend.submit(task(tmp_path, lost.key, **long))
    ends = [e for e in events_until(backend, ends=2) if isinstance(e, Ended)]
    assert {e.key: e.outcome.status for e in ends} == {"c": "completed", "d": "completed"}
    assert measured(tmp_path / "c") == measured(tmp_path / "d"), f"gone on from {came_home}"
    assert {key: (tmp_path / key / "outcome.json").read_bytes() for key in "ab"} == before
