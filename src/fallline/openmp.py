"""The OpenMP library that torch computes with on the CPU: its threads are the ones to share."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

LOADED = Path("/proc/self/maps")


def openmp() -> ctypes.CDLL | None:
    """GNU's OpenMP library that torch has loaded from its own folders, if it has; on Linux."""
    if sys.platform != "linux":
        return None
    import torch

    home = Path(torch.__file__).parent
    ours = home, home.with_name("torch.libs")
    for line in _loaded():
        file = Path(line.split(maxsplit=5)[-1])
        if "libgomp" in file.name and any(file.is_relative_to(folder) for folder in ours):
            return ctypes.CDLL(str(file))
    return None


def _loaded() -> list[str]:
    try:
        return LOADED.read_text(errors="surrogateescape").splitlines()
    except OSError:  # a container may hide it
        return []
