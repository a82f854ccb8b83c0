"""Checkpoints: whole or not there, damage found, nothing executed."""

from __future__ import annotations

import io
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from run_folders import flip_a_bit

from fallline.errors import CheckpointError
from fallline.training import checkpoint


def state(value: float) -> dict[str, torch.Tensor]:
    return {"weights": torch.full((1000,), value)}


def test_the_newest_of_two_is_loaded_and_older_ones_are_dropped(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, state(step), step)
    assert [path.name[:12] for path in checkpoint.list_checkpoints(tmp_path)] == [
        "step00000002",
        "step00000003",
    ]
    loaded = checkpoint.load_latest(tmp_path)
    assert loaded.state["weights"][0] == 3
    assert loaded.damaged == ()


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(random.Random(0).randbytes(4000)),
    ],
    ids=["one flipped bit", "truncated", "empty", "garbage"],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(
    tmp_path: Path, damage: object
) -> None:
    checkpoint.save(tmp_path, state(1), 1)
    newest = checkpoint.save(tmp_path, state(2), 2)
    damage(newest)  # type: ignore[operator]
    loaded = checkpoint.load_latest(tmp_path)
    assert loaded.state["weights"][0] == 1
    assert len(loaded.damaged) == 1
    assert str(newest) in loaded.damaged[0]
    assert "using step00000001-" in loaded.damaged[0]


def test_when_none_is_whole_the_error_names_each(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, state(1), 1)
    flip_a_bit(path)
    with pytest.raises(CheckpointError, match=path.name) as caught:
        checkpoint.load_latest(tmp_path)
    assert "using" not in str(caught.value)  # there is no other one
    assert f"fallline train --config {tmp_path.parent / 'config.json'}" in str(caught.value)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch hacked",)


def test_a_hostile_checkpoint_is_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (pickle.dumps(Evil(), protocol=2), _torch_bytes(Evil())):
        name = f"step00000009-{checkpoint._digest(content)}.pt"
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError):
            checkpoint.load_latest(tmp_path)
        (tmp_path / name).unlink()
    assert not (tmp_path / "hacked").exists()


def _torch_bytes(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


KILLER = """
import os, random, signal, sys, time, torch
from pathlib import Path
from fallline.training import checkpoint
torch.set_num_threads(1)  # no thread pool for the children to inherit
folder, chance, intact = Path(sys.argv[1]), random.Random(0), 0
checkpoint.save(folder, {"step": 0, "weights": torch.zeros(300_000)}, 0)
for kill in range(50):
    child = os.fork()
    if child == 0:
        first = checkpoint.load_latest(folder).state["step"] + 1
        for step in range(first, 10**6):
            weights = torch.full((300_000,), float(step))
            checkpoint.save(folder, {"step": step, "weights": weights}, step)
    time.sleep(chance.uniform(0.01, 0.15))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    loaded = checkpoint.load_latest(folder)
    intact += not loaded.damaged and loaded.state["weights"][-1].item() == loaded.state["step"]
print(intact, loaded.state["step"])
"""


def test_fifty_kills_while_saving_leave_no_unreadable_checkpoint(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", KILLER, str(tmp_path / "run")]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(out[0]) == 50
    assert int(out[1]) >= 10  # saving went on between the kills
