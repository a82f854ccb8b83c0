"""The Ray backend on a real cluster of two nodes on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ray_cluster import ENVIRONMENT, Cluster, free_port

from fallline.records import RunFolder
from fallline.sweep.backend import Ended, Event, Failed, Lost, Reported, Share, Task
from fallline.training.layers import Layer, preset_layer
from fallline.training.resolve import resolve

pytestmark = [
    pytest.mark.alone,
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


@pytest.fixture(scope="module")
def backend(cluster: Cluster) -> Iterator[Any]:
    """One for all tests that close none: its processes have torch loaded."""
    from fallline.sweep.ray_place import RayCluster

    deadline = time.monotonic() + PATIENCE_SECONDS
    tasks = RayCluster(cluster.address).open(Path(), Share())
    while tasks.slots < len(cluster.nodes):
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


def test_a_ray_of_our_own_trains_a_sweep_and_listens_on_loopback_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    psutil = pytest.importorskip("psutil")
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    heard = set()
    with sweep(tmp_path, "--set", "train.epochs=2") as process:
        driver, deadline = psutil.Process(process.pid), time.monotonic() + PATIENCE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            for one in [driver, *driver.children(recursive=True)]:
                with suppress(psutil.Error):
                    sockets = [s for s in one.net_connections("inet") if s.status == "LISTEN"]
                    heard |= {(one.name(), s.laddr.ip) for s in sockets}
            time.sleep(1)
        status, said = said_by(process)
    assert status == 0, said
    assert len(list(tmp_path.glob("runs/sweep/trial-*/outcome.json"))) == 4
    assert {"gcs_server", "raylet"} <= {name for name, _ in heard}
    assert {ip.removeprefix("::ffff:") for _, ip in heard} == {"127.0.0.1"}


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
    backend: Any, cluster: Cluster, tmp_path: Path
) -> None:
    from fallline.sweep.ray_place import RayCluster

    stopped = RayCluster(cluster.address).open(tmp_path, Share())
    for key in "ab":
        stopped.submit(task(tmp_path, key, epochs=500))
    reported: set[str] = set()
    while reported != {"a", "b"}:
        reported |= {event.key for event in stopped.poll(1.0)}
    stopped.close(save=True)
    ended = [event for event in stopped.poll(0.0) if isinstance(event, Ended)]
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


def has_checkpoint(folder: Path) -> bool:
    return any(folder.glob("checkpoints/*.pt"))


FILE = """
method: grid
metric: {name: val/accuracy, goal: maximize}
parameters:
  learning_rate: {values: [0.1, 0.05, 0.01, 0.005]}
fallline: {data: digits, base: base.yaml}
"""
BASE = """
model: {name: mlp, widths: [32]}
train: {epochs: 40, threads: 1, precision: fp32, checkpoint_seconds: 0.2}
optim: {name: sgd}
track: {tensorboard: false}
"""


def sweep(folder: Path, *options: str) -> subprocess.Popen[str]:
    """`fallline sweep` on Ray, in a folder with a file."""
    (folder / "sweep.yaml").write_text(FILE)
    (folder / "base.yaml").write_text(BASE)
    command = [sys.executable, "-m", "fallline", "sweep", "sweep.yaml", "--on", "ray"]
    return subprocess.Popen(
        [*command, *options],
        cwd=folder,
        env={**os.environ, "FALLLINE_CACHE": str(folder / "cache")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said_by(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and what it said."""
    with process:
        try:
            out, said = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
    return process.returncode, out + said


def test_a_sweep_whose_driver_is_killed_goes_on_with_the_same_command(
    cluster: Cluster, tmp_path: Path
) -> None:
    """No finished run is trained again, none is lost, no configuration comes twice."""
    runs = tmp_path / "runs" / "sweep"
    with sweep(tmp_path, "--address", cluster.address) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not list(runs.glob("trial-*/outcome.json")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    finished = {path: path.read_bytes() for path in runs.glob("trial-*/outcome.json")}
    assert 0 < len(finished) < 4
    status, said = said_by(sweep(tmp_path, "--address", cluster.address))
    assert status == 0, said
    assert {path: path.read_bytes() for path in finished} == finished
    folders = [RunFolder(path.parent) for path in runs.glob("trial-*/outcome.json")]
    rates = sorted(folder.read_config()["optim"]["lr"] for folder in folders)
    assert rates == [0.005, 0.01, 0.05, 0.1]
    for folder in folders:
        outcome = folder.read_outcome()
        assert outcome is not None
        assert outcome.status == "completed"
        epochs = [r["epoch"] for r in folder.read_metrics() if r["event"] == "epoch"]
        assert epochs == list(range(1, 41))


@pytest.mark.parametrize("wrong", ["nobody", "somebody else", "no port", "a dashboard"])
def test_a_wrong_address_is_told_within_seconds_with_what_to_check(
    tmp_path: Path, wrong: str
) -> None:
    from fallline.errors import ConfigError, RunError
    from fallline.sweep.ray_place import RayCluster

    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=_greet, args=(other,), daemon=True).start()
        addresses = {
            "nobody": f"127.0.0.1:{free_port()}",
            "somebody else": f"127.0.0.1:{other.getsockname()[1]}",
            "no port": "ray://head:port",
            "a dashboard": "127.0.0.1:8265",
        }
        began = time.monotonic()
        with pytest.raises((ConfigError, RunError)) as raised:
            RayCluster(addresses[wrong]).open(tmp_path, Share(device="cpu"))
        assert time.monotonic() - began < 5
    words = {
        "nobody": "refused",
        "somebody else": "something else listens there",
        "no port": "HOST:PORT",
        "a dashboard": "dashboard",
    }
    assert words[wrong] in str(raised.value)
    assert "ray start --head" in str(raised.value)


def _greet(other: socket.socket) -> None:
    with suppress(OSError), other.accept()[0] as connection:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_wrong_token_is_told_within_seconds_and_not_shown(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 32)
    status, said = said_by(sweep(tmp_path, "--address", cluster.address))
    assert status == 2
    assert f"the Ray cluster at {cluster.address} does not take this machine" in said
    assert "the token is from RAY_AUTH_TOKEN" in said
    assert "f" * 32 not in said
    assert "Traceback" not in said


def test_a_node_that_is_killed_loses_no_finished_run_and_its_run_goes_on_elsewhere(
    backend: Any, cluster: Cluster, tmp_path: Path
) -> None:
    """It goes on from the last checkpoint that came home, as if it had never been stopped."""
    victim = cluster.nodes[1]
    assert victim.is_up
    long: dict[str, Any] = {"obeys": True, "epochs": 40, "train.checkpoint_seconds": 0.05}
    for key in "ab":
        backend.submit(task(tmp_path, key))
    events_until(backend, ends=2)
    before = {key: (tmp_path / key / "outcome.json").read_bytes() for key in "ab"}
    for key in "cd":
        backend.submit(task(tmp_path, key, **long))
    held = set[str]()  # at an evaluation that is not answered
    while not all(has_checkpoint(tmp_path / key) for key in "cd"):
        events = backend.poll(0.1)
        assert all(isinstance(event, Reported) for event in events)
        held |= {event.key for event in events}
        time.sleep(0.1)  # an epoch takes longer than a checkpoint has to wait
        for key in [key for key in held if not has_checkpoint(tmp_path / key)]:
            backend.answer(key, None)
            held.remove(key)
    victim.kill()
    began = time.monotonic()
    while not (ended := [e for e in backend.poll(0.1) if not isinstance(e, Reported)]):
        assert time.monotonic() - began < 30
    (lost,) = ended
    assert isinstance(lost, Lost)
    backend.answer(*held - {lost.key}, None)
    came_home = max((tmp_path / lost.key).glob("checkpoints/*.pt")).name
    backend.submit(task(tmp_path, lost.key, **long))
    ends = [e for e in events_until(backend, ends=2) if isinstance(e, Ended)]
    assert {e.key: e.outcome.status for e in ends} == {"c": "completed", "d": "completed"}
    assert measured(tmp_path / "c") == measured(tmp_path / "d"), f"gone on from {came_home}"
    assert {key: (tmp_path / key / "outcome.json").read_bytes() for key in "ab"} == before
