"""Real signals to real processes: nothing finished is lost, and the end is the same to the bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from run_folders import measured

from fallline.records import RunFolder
from fallline.training import checkpoint

SETTINGS = [
    "epochs=6",
    "batch_size=40",
    "model.widths=[16,16,16]",
    "train.threads=1",
    "train.precision=fp32",
    "track.every=2",
    "track.tensorboard=false",
    "train.ema=0.9",
]
KILLED_AGAIN_AND_AGAIN = """
import os, random, signal, sys, time
from pathlib import Path
import matplotlib.figure, torch
from fallline.data import load
from fallline.records import RunFolder
from fallline.training.layers import parse_assignments, preset_layer
from fallline.training.resolve import resolve
from fallline.training.run import begin, begin_or_resume
from fallline.training.session import Session

torch.set_num_threads(1)  # no thread pool for the children to inherit
out, chance, kills = Path(sys.argv[1]), random.Random(0), 0
load("synthetic")
resolved = resolve([preset_layer("steady"), parse_assignments(sys.argv[2:])])
quiet = Session("quiet")
begin(resolved, out=out, name="whole", session=quiet)
killed = RunFolder(out / "killed")
while killed.read_outcome() is None:
    child = os.fork()
    if child == 0:
        begin_or_resume(resolved, out=out, name="killed", session=quiet)
        os._exit(0)
    if kills < 8:
        time.sleep(chance.uniform(0.05, 0.3))
        os.kill(child, signal.SIGKILL)
        kills += 1
    os.waitpid(child, 0)
print(kills)
"""


def test_a_run_killed_at_random_moments_ends_as_if_never_stopped(tmp_path: Path) -> None:
    settings = ["data=synthetic", "train.checkpoint_seconds=0.1", *SETTINGS]
    command = [sys.executable, "-W", "ignore", "-c", KILLED_AGAIN_AND_AGAIN, str(tmp_path)]
    done = subprocess.run([*command, *settings], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 3  # kills before the end
    whole, killed = (RunFolder.open(tmp_path / name) for name in ("whole", "killed"))
    assert measured(whole) == measured(killed)
    ends = [checkpoint.load_latest(folder.checkpoints).state for folder in (whole, killed)]
    for part in ("model", "ema"):
        one, other = (_tensors(end[part]) for end in ends)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def _tensors(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    return dict(state.get("mean", state))


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_says_how_to_go_on_and_leaves_its_exit_code(
    tmp_path: Path, signum: int, code: int
) -> None:
    options = [part for setting in SETTINGS[1:] for part in ("--set", setting)]
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "fallline", "train", "--data", "synthetic", "--json"),
            *("--out", str(tmp_path), "--name", "r", "--set", "epochs=100000", *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()  # the first measurement
    os.kill(process.pid, signum)
    asked = time.monotonic()
    try:
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()  # it would train on
    assert process.returncode == code
    assert time.monotonic() - asked < 20  # the goal is 5 s; the machine may be busy
    assert signal.Signals(signum).name in errors
    folder = RunFolder.open(tmp_path / "r")
    outcome = json.loads(folder.outcome.read_text())
    assert outcome["status"] == "interrupted"
    assert outcome["steps"] > 0
    assert (
        checkpoint.load_latest(folder.checkpoints).state["progress"]["counts"][0]
        == outcome["steps"]
    )
