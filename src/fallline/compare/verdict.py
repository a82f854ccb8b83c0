"""The answer on one workload, as data and in one sentence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Who won.

    Attributes:
        winner: beats every rival beyond noise; None where nobody does.
        contenders: the leader, and whoever cannot be told from it.
        sentence: the answer, with its uncertainty and n.
        seeds_needed: that would tell the leader from the next; None as in `Difference`.
    """

    winner: str | None
    contenders: tuple[str, ...]
    sentence: str
    seeds_needed: int | None
