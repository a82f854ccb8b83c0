"""Which optimizer is better, by how much, and how sure: run folders in, numbers out.

>>> from fallline import compare
>>> found = compare.run(["sgd", "adamw", "muon"], data="digits", configs=3, seeds=3)
>>> found.answer
>>> found.workloads[0].standings[0].score
>>> compare.read("runs/compare-digits-convnet")  # the same, from its folder
"""

from __future__ import annotations

from typing import Any

from fallline.compare.comparison import Comparison
from fallline.compare.comparison import comparison_of as read
from fallline.registry import load

__all__ = ["Comparison", "read", "run"]


def __getattr__(name: str) -> Any:
    """What carries a comparison out lies in a layer above; it is pointed to, not imported."""
    if name == "run":
        return load("fallline.contest.run:run")
    raise AttributeError(f"module 'fallline.compare' has no attribute '{name}'")
