"""Which device, which precision."""

from __future__ import annotations

import platform
import subprocess

import torch

from fallline.errors import DeviceError
from fallline.machine import CPU, cpu_flags


def pick_device(wanted: str) -> torch.device:
    """CUDA, else MPS, else CPU for `auto`; else what was asked for. Raises DeviceError."""
    present = _present()
    if wanted == "auto":
        return torch.device(present[0])
    if wanted.partition(":")[0] not in present or not _index_exists(wanted):
        raise DeviceError(
            f"the device {wanted} is not there",
            seen=f"{', '.join(present)} (torch {torch.__version__})",
            next="leave --device out to take the best one that is",
        )
    return torch.device(wanted)


def pick_precision(wanted: str, device: torch.device) -> str:
    """`bf16` for `auto` where the hardware computes in it natively, else `fp32`.

    A CPU without native bf16 is up to 80 times slower in it, so its flags decide.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp32"
    native = {"avx512_bf16", "amx_bf16"} & cpu_flags()
    return "bf16" if device.type == "cpu" and native else "fp32"


def device_name(device: torch.device) -> str:
    """What the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_name() if device.type == "cpu" else platform.machine()


def _present() -> list[str]:
    cuda = ["cuda"] if torch.cuda.is_available() else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def _index_exists(wanted: str) -> bool:
    kind, _, index = wanted.partition(":")
    numbered = index.isdecimal() and int(index) < torch.cuda.device_count()
    return wanted == kind or (kind == "cuda" and numbered)


def _cpu_name() -> str:
    if CPU.exists():
        for line in CPU.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()
