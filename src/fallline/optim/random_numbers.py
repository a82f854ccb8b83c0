"""A device's random numbers, put back after a block."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def rewound(device: torch.device) -> AbstractContextManager[None]:
    """Numbers drawn inside, on the CPU or on `device`, are drawn once more after the block."""
    if device.type == "cpu":
        return torch.random.fork_rng([])
    return torch.random.fork_rng([device], device_type=device.type)
