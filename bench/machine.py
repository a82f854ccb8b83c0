"""What the measurements were taken on and with."""

from __future__ import annotations

import contextlib
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from fallline.machine import cpu_flags, usable_cores
from fallline.models.kernels import serving
from fallline.training.device import device_name, pick_precision, usable_gpus

SIDES = {
    "cpu": 2048,
    "mps": 4096,
    "cuda": 8192,
}  # of the product that shows what the machine can do
PRODUCTS, ROUNDS = 8, 5
PACKAGES = ("fallline", "torch", "torchvision", "pillow", "lightning", "optuna", "ray")


def machine() -> dict[str, Any]:
    """Date, hardware, versions, and the rate of a matrix product in the precisions it has.

    Where there is CUDA those of the CPU stand beside the GPU's.
    """
    cpu = torch.device("cpu")
    device = torch.device("cuda") if usable_gpus() else cpu
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device_name(device),
        "cpu": device_name(cpu),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "kernels": serving(),
        "flags": sorted({"avx2", "avx512f", "avx512_bf16", "amx_bf16"} & set(cpu_flags())),
        "python": platform.python_version(),
        **_versions(),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        **_peaks(device),
        **({f"cpu_{name}": rate for name, rate in _peaks(cpu).items()} if device != cpu else {}),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _peaks(device: torch.device) -> dict[str, float | None]:
    own = dtype_on(device)
    return {
        "fp32_gflops": peak(torch.float32, device),
        "bf16_gflops": peak(own, device) if own is torch.bfloat16 else None,
    }


def dtype_on(device: torch.device) -> torch.dtype:
    """What Fallline trains in there by itself."""
    return torch.bfloat16 if pick_precision("auto", device) == "bf16" else torch.float32


def autocast_on(device: torch.device) -> torch.autocast:
    """Where a step computes in that."""
    enabled = dtype_on(device) is torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def peak(dtype: torch.dtype, device: torch.device) -> float:
    """GFLOP/s of a large matrix product, the best of several: what a step can come near to."""
    return max(product_rate(dtype, device) for _ in range(ROUNDS))


def product_rate(dtype: torch.dtype, device: torch.device, least: float = 0) -> float:
    """GFLOP/s of a few large matrix products, now, for at least so many seconds."""
    side = SIDES[device.type]
    a = torch.randn(side, side, device=device).to(dtype)
    b = a @ a
    b.sum().item()
    done, taken, began = 0, 0.0, time.perf_counter()
    while not done or taken < least:
        for _ in range(PRODUCTS):
            b = a @ a
        b.sum().item()
        done, taken = done + PRODUCTS, time.perf_counter() - began
    return 2e-9 * done * side**3 / taken
