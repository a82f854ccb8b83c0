"""What the measurements were taken on and with."""

from __future__ import annotations

import platform
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from fallline.machine import cpu_flags, usable_cores
from fallline.training.device import device_name, pick_precision

SIDES = {
    "cpu": 2048,
    "mps": 4096,
    "cuda": 8192,
}  # of the product that shows what the machine can do
PRODUCTS, ROUNDS = 8, 5


def machine() -> dict[str, Any]:
    """Date, hardware, versions, and the rate of a matrix product in the precisions it has."""
    cpu = torch.device("cpu")
    device = torch.device("cuda") if torch.cuda.is_available() else cpu
    own = dtype_on(device)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device_name(device),
        "cpu": device_name(cpu),
        "cores": usable_cores(),
        "flags": sorted({"avx2", "avx512f", "avx512_bf16", "amx_bf16"} & set(cpu_flags())),
        "python": platform.python_version(),
        "torch": version("torch"),
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


def product_rate(dtype: torch.dtype, device: torch.device) -> float:
    """GFLOP/s of a few large matrix products, now."""
    side = SIDES[device.type]
    a = torch.randn(side, side, device=device).to(dtype)
    b = a @ a
    b.sum().item()
    began = time.perf_counter()
    for _ in range(PRODUCTS):
        b = a @ a
    b.sum().item()
    return 2e-9 * PRODUCTS * side**3 / (time.perf_counter() - began)
