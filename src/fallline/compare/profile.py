"""Performance profiles (Dolan and Moré 2002): who is how often within a factor of the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        lines: one for each optimizer.
    """

    cost: str
    workloads: tuple[str, ...]
    factors: tuple[float, ...]
    lines: tuple[Line, ...]


def profile_of(
    cost: str, workloads: Sequence[str], costs: Mapping[str, Sequence[float | None]]
) -> Profile:
    """The profile of costs by optimizer and workload; None: missed. Costs are above 0."""
    by_workload = zip(*costs.values(), strict=True)
    lowest = [min((c for c in each if c is not None), default=1.0) for each in by_workload]
    ratios = {
        name: tuple(
            None if cost is None else cost / least
            for cost, least in zip(line, lowest, strict=True)
        )
        for name, line in costs.items()
    }
    reached = {ratio for line in ratios.values() for ratio in line if ratio is not None}
    factors = tuple(sorted({1.0, *reached}))
    lines = (Line(name, line, _shares(line, factors)) for name, line in ratios.items())
    return Profile(cost, tuple(workloads), factors, tuple(lines))


def _shares(ratios: Sequence[float | None], factors: Sequence[float]) -> tuple[float, ...]:
    return tuple(
        sum(ratio is not None and ratio <= factor for ratio in ratios) / len(ratios)
        for factor in factors
    )
