"""A comparison that is killed goes on with the same configurations to the same end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from fallline.compare.comparison import Comparison
from fallline.compare.evidence import Training

SECONDS = 120.0


def command(tiny: dict[str, Any], out: Path) -> list[str]:
    settings = [f"--set={key}={value}" for key, value in tiny.items()]
    return [
        sys.executable,
        *("-m", "fallline", "compare", "--data", "synthetic", "--model", "mlp"),
        *("--optimizers", "sgd,adam,sam", "--configs", "3", "--seeds", "3"),
        *("--budget", "2ep", "--out", str(out), "--name", "whole", "--workers", "1", "--quiet"),
        *settings,
    ]


def trained(found: Comparison) -> dict[tuple[str, int, int], Any]:
    """What every training came to, without its seconds."""

    def result(training: Training) -> Any:
        vals = [point.val for point in training.curve]
        told = (training.status, training.steps, training.val, training.test, vals)
        return dict(training.parameters), *told

    return {
        (standing.optimizer, training.trial, training.seed): result(training)
        for standing in found.workloads[0].standings
        for training in (*standing.trials, *standing.repeats)
    }


def test_a_killed_comparison_goes_on_to_the_same_end(
    whole: tuple[Path, Comparison], tiny: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "whole"
    first = subprocess.Popen(command(tiny, tmp_path), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + SECONDS
    while len(list(folder.glob("*/outcome.json"))) < 4:
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.kill()
    first.wait()
    before = {p: os.stat(p).st_mtime_ns for p in folder.glob("*/outcome.json")}
    kept = {p: t for p, t in before.items() if '"completed"' in p.read_text()}
    assert not (folder / "comparison.json").exists()
    done = subprocess.run(
        command(tiny, tmp_path), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    found = Comparison.from_json((folder / "comparison.json").read_bytes())
    assert trained(found) == trained(whole[1])
    assert {p: os.stat(p).st_mtime_ns for p in kept} == kept  # what had ended was not run again
    assert done.stdout.strip() == found.answer
