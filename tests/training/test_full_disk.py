"""A disk that takes no more: the message names path and disk, and nothing is left corrupt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from fallline.records import RunFolder
from fallline.training import checkpoint

# A limit on the size of files makes the system refuse writes as a full disk does, in the middle.
LIMITED = """
import resource, signal, sys
import torch, matplotlib.figure
from fallline.cli import main
from fallline.data import load
load("synthetic")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv = ["fallline", *sys.argv[2:]]
main()
"""


def trained_within(limit: int, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = ["train", "--data", "synthetic", "--out", str(out), "--name", "r", *options]
    settings = ["epochs=1", "model=mlp", "train.checkpoint_seconds=0"]
    words += [part for setting in settings for part in ("--set", setting)]
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_disk_that_refuses_a_checkpoint_ends_the_run_with_what_it_has(tmp_path: Path) -> None:
    done = trained_within(60_000, tmp_path, "--set", "model.widths=[64]")
    assert done.returncode == 2, done.stderr
    assert "cannot write" in done.stderr
    assert "MiB free on that disk" in done.stderr
    assert "Traceback" not in done.stderr
    folder = RunFolder.open(tmp_path / "r")
    outcome = folder.read_outcome()
    assert outcome is not None
    assert outcome.status == "failed"
    assert all(json.loads(line) for line in folder.metrics.read_text().splitlines())
    assert not list(folder.path.rglob(".step*"))  # no part of a file is left
    assert checkpoint.list_checkpoints(folder.checkpoints) == []  # there was room for none


def test_training_goes_on_when_only_tensorboard_finds_no_room(tmp_path: Path) -> None:
    done = trained_within(60_000, tmp_path, "--set", "model.widths=[2]")
    assert done.returncode == 0, done.stderr
    assert "goes on without tensorboard" in done.stderr
    outcome = RunFolder.open(tmp_path / "r").read_outcome()
    assert outcome is not None
    assert outcome.status == "completed"
