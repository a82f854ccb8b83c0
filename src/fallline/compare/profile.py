"""Performance profiles (Dolan and Moré 2002): who is how often within a factor of the best."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One optimizer's profile.

    Attributes:
        ratios: its cost over the lowest cost, by workload; None where it missed.
        shares: of the workloads on which its ratio is at most each of the profile's `factors`.
    """

    optimizer: str
    ratios: tuple[float | None, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Profile:
    """All optimizers over several workloads.

    Attributes:
        cost: what is compared, in words: errors, or gradients to a target.
        workloads: in the order of `ratios`.
        factors: ascending from 1; every one at which some share changes.
    """

    cost: str
    workloads: tuple[str, ...]
    factors: tuple[float, ...]
    lines: tuple[Line, ...]
