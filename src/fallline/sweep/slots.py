"""How many trainings this machine runs at a time, and what each of them may use."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from fallline import child
from fallline.machine import free_memory, usable_cores
from fallline.sweep.backend import Share, Task

WORKER_BYTES: Final = 1.0 * 2**30  # torch and a small network, with room
DRIVERS: Final = ("nvidiactl", "dxg", "kfd")  # NVIDIA's, under Windows' Linux too, and AMD's


@dataclass(frozen=True)
class Slot:
    """Room for one training: CPU threads, and the accelerator it sees (None: as it is here)."""

    threads: int
    device: str | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What has to be set before torch is loaded."""
        shown = {} if self.device is None else {"CUDA_VISIBLE_DEVICES": self.device}
        return {"OMP_NUM_THREADS": str(self.threads)} | shown

    def fit(self, task: Task) -> Task:
        """The task as it runs here."""
        fitted = task.with_threads(self.threads)
        return fitted if self.device is None else fitted.with_own_gpu()


def plan(workers: int | Literal["auto"], share: Share) -> list[Slot]:
    """The slots of this machine.

    Args:
        workers: trainings at a time; auto: `per_device` on each GPU, else as many as there are
            cores for, and memory, with one thread unless `threads` says more: that is where most
            trainings an hour come from.
        share: what each of them is to have.
    """
    cores, device = usable_cores(), share.device
    numbered = _gpus() if device.startswith(("auto", "cuda")) else {}
    wanted = {int(device[5:])} if device.startswith("cuda:") else numbered.keys()
    gpus = [gpu for number, gpu in numbered.items() if number in wanted]
    roomy = max(1, min(cores // (share.threads or 1), int(free_memory() / WORKER_BYTES)))
    devices = len(gpus) or int(device in ("auto", "mps") and _is_apple())
    count = (devices * share.per_device or roomy) if workers == "auto" else workers
    threads = max(1, cores // count)
    return [Slot(threads, gpus[i % len(gpus)] if gpus else None) for i in range(count)]


def _is_apple() -> bool:
    """Whether torch trains on Apple's GPU by itself, the one that all trainings share."""
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _gpus() -> dict[int, str]:
    """The GPUs by torch's numbers, as CUDA_VISIBLE_DEVICES names them.

    torch knows which it can use; it is asked in a process of its own, and only where a driver is.
    """
    if not any(Path(f"/dev/{driver}").exists() for driver in DRIVERS):
        return {}
    code = "from fallline.training.device import usable_gpus; print(*usable_gpus())"
    done = subprocess.run(child.command(code), capture_output=True, text=True, check=False)
    numbers = [int(number) for number in done.stdout.split()] if done.returncode == 0 else []
    shown = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return {number: shown[number] if shown else str(number) for number in numbers}
