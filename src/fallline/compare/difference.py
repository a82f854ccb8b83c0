"""Two optimizers on the same seeds: how far apart, and whether that can be told from noise."""

from __future__ import annotations

from dataclasses import dataclass

from fallline.compare.estimate import Estimate


@dataclass(frozen=True)
class Difference:
    """`better` minus `worse`, seed by seed.

    Attributes:
        better, worse: the optimizers, by their means.
        gap: mean of the paired differences (>= 0) with its own 95 % interval.
        p: of Student's paired test, two-sided, for this pair alone.
        adjusted_p: after Holm over all pairs; for a pair with a declared winner, the larger of its
            p values against each rival where that is smaller.
        told: whether the two can be told apart: adjusted_p below 5 %.
        seeds_needed: that would tell this gap (80 % power, p alone below 5 %), counting those
            there are; None without an estimate of the spread, or where more than 1,000 would do.
        detectable: smallest true gap that the present seeds tell with 80 % power.

    A p value is None where fewer than two seeds are common to both.
    """

    better: str
    worse: str
    gap: Estimate
    p: float | None
    adjusted_p: float | None
    told: bool
    seeds_needed: int | None
    detectable: float | None
