"""A sweep under a W&B server: a real one in protocol, on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from wandb_server_stub import EPOCHS_UNTIL_STOPPED, SweepStub

from fallline.records import RunFolder

FILE = f"""
method: grid
metric: {{name: val/accuracy, goal: maximize}}
early_terminate: {{type: hyperband, min_iter: 1}}
parameters:
  epochs: {{values: [2, {EPOCHS_UNTIL_STOPPED}]}}
  learning_rate: {{values: [0.01, 0.001]}}
  optimizer: {{values: [sgd]}}
  model: {{value: mlp}}
fallline:
  data: digits
  base: base.yaml
"""
BASE = """
model: {name: mlp, widths: [16]}
train: {threads: 1, precision: fp32}
optim: {name: sgd}
track: {tensorboard: false}
"""
SECONDS_TO_REFUSE = 20.0  # of which most are imports on a busy machine


@pytest.fixture
def server() -> Iterator[SweepStub]:
    stub = SweepStub()
    yield stub
    stub.shutdown()
    stub.server_close()


class Session:
    """`fallline sweep` beside a server, in a folder of its own."""

    def __init__(self, folder: Path, url: str, key: str | None = "a" * 40) -> None:
        (folder / "sweep.yaml").write_text(FILE)
        (folder / "base.yaml").write_text(BASE)
        (folder / "home").mkdir()
        kept = {name: value for name, value in os.environ.items() if "WANDB" not in name}
        self.environment = kept | {
            "WANDB_BASE_URL": url,
            "WANDB_CONFIG_DIR": str(folder / "home"),
            "NETRC": str(folder / "home" / "netrc"),
            "HOME": str(folder / "home"),
        }
        if key is not None:
            self.environment["WANDB_API_KEY"] = key
        self.folder = folder

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "fallline", "sweep", "sweep.yaml", "--on", "wandb"]
        return subprocess.Popen(
            [*command, "--workers", "2", *options],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str) -> tuple[int, str]:
        """Its exit code, and what it said."""
        with self.start(*options) as process:
            try:
                out, said = process.communicate(timeout=150)
            finally:
                process.kill()
        return process.returncode, out + said

    def runs(self, name: str = "sweep") -> dict[str, RunFolder]:
        """The run folders, by W&B's names of the runs."""
        folders = [RunFolder(p.parent) for p in (self.folder / "runs" / name).glob("*/trial.json")]
        return {folder.read_trial()["wandb"]["run"]: folder for folder in folders}


def test_the_server_chooses_the_runs_and_its_stop_is_obeyed(
    server: SweepStub, tmp_path: Path
) -> None:
    session = Session(tmp_path, server.url)
    status, said = session.run()
    assert status == 0, said
    assert f"{server.url}/e/fallline/sweeps/sweep0" in said
    assert "--on wandb --join e/fallline/sweep0" in said
    sent = YAML(typ="safe", pure=True).load(server.sweeps["sweep0"])
    stated = YAML(typ="safe", pure=True).load(FILE)
    assert sent == {key: value for key, value in stated.items() if key != "fallline"}
    runs = session.runs()
    assert set(runs) == set(server.runs) == set(server.buckets)
    for name, point in server.runs.items():
        folder, bucket = runs[name], server.buckets[name]
        outcome = folder.read_outcome()
        assert outcome is not None
        if point["epochs"] < EPOCHS_UNTIL_STOPPED:
            assert (outcome.status, outcome.epochs) == ("completed", 2)
        else:
            assert outcome.status == "pruned"
            assert outcome.reason.startswith("W&B asked to stop it, at epoch ")
        assert bucket["sweep"] == "sweep0"
        told = {key: entry["value"] for key, entry in json.loads(bucket["config"]).items()}
        assert {key: told[key] for key in point} == point
        assert folder.read_config()["optim"]["lr"] == point["learning_rate"]
        accuracies = [row["val/accuracy"] for row in folder.read_metrics() if "val/loss" in row]
        logged = [row["val/accuracy"] for row in server.histories[name] if "val/loss" in row]
        assert logged == pytest.approx(accuracies)
    assert server.exit_codes == [0] * 4


def test_after_a_kill_the_same_command_goes_on_with_the_same_sweep(
    server: SweepStub, tmp_path: Path
) -> None:
    """The run that was under way is carried to its end; no run is made twice."""
    session = Session(tmp_path, server.url)
    with session.start("--set", "train.checkpoint_seconds=0.2", "--workers", "1") as process:
        deadline = time.monotonic() + 100
        while not list(tmp_path.glob("runs/sweep/trial-0002-*/checkpoints/*.pt")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    before = set(server.runs)
    status, said = session.run("--set", "train.checkpoint_seconds=0.2", "--workers", "1")
    assert status == 0, said
    assert list(server.sweeps) == ["sweep0"]
    outcomes = {name: folder.read_outcome() for name, folder in session.runs().items()}
    assert before < set(outcomes) == set(server.runs)
    statuses = [outcome.status for outcome in outcomes.values() if outcome]
    assert sorted(statuses) == ["completed", "completed", "pruned", "pruned"]


def test_what_w_and_b_does_not_take_is_said_before_any_training(
    server: SweepStub, tmp_path: Path
) -> None:
    session = Session(tmp_path, server.url)
    server.warnings = ["learning_rate: Unlikely value"]
    status, said = session.run()
    assert status == 2
    assert "W&B finds fault with the sweep" in said
    assert "learning_rate: Unlikely value" in said
    server.warnings = []
    other = FILE.replace("0.001]", "0.002]").replace("fallline:", "fallline:\n  seeds: 3")
    (tmp_path / "sweep.yaml").write_text(other)
    status, said = session.run("--name", "other", "--join", "e/fallline/sweep0")
    assert status == 2
    assert "fallline.seeds: 3" in said
    (tmp_path / "sweep.yaml").write_text(other.replace("  seeds: 3\n", ""))
    status, said = session.run("--name", "other", "--join", "e/fallline/sweep0")
    assert status == 2
    assert "the file and the sweep e/fallline/sweep0 differ in space" in said
    assert not session.runs("sweep")


@pytest.mark.parametrize("lacks", ["key", "network"])
def test_without_a_key_or_a_network_it_says_within_seconds_what_to_do(
    server: SweepStub, tmp_path: Path, lacks: str
) -> None:
    url = server.url if lacks == "key" else "http://127.0.0.1:9"
    session = Session(tmp_path, url, key=None if lacks == "key" else "a" * 40)
    began = time.monotonic()
    status, said = session.run()
    assert status == 2
    assert time.monotonic() - began < SECONDS_TO_REFUSE
    assert "W&B cannot be the controller of this sweep" in said
    assert "wandb login" in said
    assert ("no API key" if lacks == "key" else "does not answer") in said
    assert "Traceback" not in said
