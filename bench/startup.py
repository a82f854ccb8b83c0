"""From typing a command to its result: seconds and peak memory of each phase, in fresh processes.

python -m bench.startup DATA     one process, a JSON object of phase: [seconds, MiB]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

ROUNDS = 5
PER_KIB = 1024 if sys.platform == "darwin" else 1  # what systems tell memory in: bytes, KiB
SMALL = """
import json, os, sys, time
began = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(json.dumps([time.perf_counter() - began, usage.ru_maxrss]))
sys.exit(bool(status))
"""  # starts a process that inherits the peak memory of none larger, as Linux would have it
COMMANDS = {
    "fallline --help": ["--help"],
    "fallline list optimizers": ["list", "optimizers"],
    "fallline train fast70, whole": ["train", "fast70", "--device", "cpu"],
}


def measure(data: str) -> list[dict[str, Any]]:
    """A row for each phase of a start and for each whole command; medians of fresh processes."""
    starts = [_start(data) for _ in range(ROUNDS)]
    rows = [
        {
            "name": phase,
            "seconds": median(start[phase][0] for start in starts),
            "peak_mib": median(start[phase][1] for start in starts),
        }
        for phase in starts[0]
    ]
    return rows + [_whole(name, words, data) for name, words in COMMANDS.items()]


def _start(data: str) -> dict[str, list[float]]:
    said, whole, _ = _ended([sys.executable, "-m", "bench.startup", data])
    phases: dict[str, list[float]] = json.loads(said)
    inside = sum(seconds for seconds, _ in phases.values())
    return {"Python's start and exit": [whole - inside, 0.0], **phases}


def _whole(name: str, words: list[str], data: str) -> dict[str, Any]:
    """Seconds from typing to the end, and the peak memory of the process."""
    command = [str(Path(sys.executable).with_name("fallline")), *words]
    with TemporaryDirectory() as place:
        if words[0] == "train":
            command += ["--data", data, "--out", place, "--quiet"]
        ended = [_ended(command) for _ in range(3)]
    _, seconds, peaks = zip(*ended, strict=True)
    return {"name": name, "seconds": median(seconds), "peak_mib": median(peaks)}


def _ended(command: list[str]) -> tuple[str, float, float]:
    """What a command printed, its seconds and its peak MiB. Raises CalledProcessError."""
    child = subprocess.run(
        [sys.executable, "-S", "-c", SMALL, *command], capture_output=True, text=True, check=True
    )
    said, _, measured = child.stdout.rstrip("\n").rpartition("\n")
    seconds, peak = json.loads(measured)
    return said, seconds, _mib(peak)


def _mib(peak: float) -> float:
    return peak / PER_KIB / 1024


def phases(data: str) -> dict[str, list[float]]:
    """Goes through a start of fast70 and notes seconds and peak memory after each phase."""
    noted: dict[str, list[float]] = {}
    last = time.perf_counter()

    def note(phase: str) -> None:
        nonlocal last
        now = time.perf_counter()
        peak = _mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        noted[phase] = [now - last, peak]
        last = now

    import torch  # noqa: F401

    note("import torch")
    from fallline.data import load
    from fallline.records import RunFolder
    from fallline.track.fanout import open_trackers
    from fallline.track.tracker import RunStart
    from fallline.training import evaluate  # noqa: F401
    from fallline.training.assemble import assemble
    from fallline.training.layers import Layer, preset_layer
    from fallline.training.resolve import resolve
    from fallline.training.settle import settle
    from fallline.training.splits import split

    note("import fallline")
    config = resolve(
        [preset_layer("fast70"), Layer("bench", {"data": data, "train.device": "cpu"})]
    ).config
    images = load(config.data.name)
    splits = split(config, images)
    config = settle(config, images, len(splits.train))
    note("images from the cache, settings")
    job = assemble(config, images, splits, fresh=True)
    note("net, whitening, optimizer")
    with TemporaryDirectory() as place:
        facts: dict[str, Any] = {}
        start = RunStart(RunFolder(Path(place)), config.model_dump(mode="json"), facts, 1, 1)
        open_trackers(start, show="quiet")
    note("trackers")
    batch = next(iter(job.feeds.train.epoch(0)))
    note("first batch")
    job.step(batch.inputs, batch.targets, measure=True)
    note("first step")
    job.step(batch.inputs, batch.targets, measure=True)
    note("second step")
    return noted


if __name__ == "__main__":
    print(json.dumps(phases(sys.argv[1])))
