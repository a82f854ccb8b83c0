"""Two optimizers on the same seeds: how far apart, and whether that can be told from noise.

Every pair is tested with Student's paired test, which needs no equal spread of the optimizers, and
Holm's procedure (1979) keeps the chance of any false difference at 5 %. That one optimizer is the
best is another claim: it holds only if each rival is beaten, so testing each at 5 % errs in at
most 5 % of cases (intersection-union test, Berger 1982), and no correction is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np

from fallline.compare.estimate import LEVEL, Array, Estimate, estimate, rounding
from fallline.compare.power import MOST_SEEDS, detectable, seeds_to_tell

ROUNDING: Final = 1e-12  # of sums of equal scores


@dataclass(frozen=True)
class Difference:
    """`better` minus `worse`, seed by seed.

    Attributes:
        better, worse: the optimizers, by their means.
        gap: mean of the paired differences with its own 95 % interval.
        p: of Student's paired test, two-sided, for this pair alone; None where the worse is ahead
            on the seeds in common, as it may be while some are still to come.
        adjusted_p: after Holm over all pairs; for a pair of the leader, the largest of its p
            values against any rival where that is smaller.
        told: whether the two can be told apart: adjusted_p below 5 %.
        seeds_needed: that would tell this gap, if it is the true one, with 80 % power, at 5 % over
            the number of pairs; one of the leader's also where each of them is told at 5 %. None
            where the spread is not known, or more than 1,000 were needed.
        detectable: smallest true gap that the present seeds tell, likewise.

    What needs two seeds in common is None where there are fewer.
    """

    better: str
    worse: str
    gap: Estimate
    p: float | None = None
    adjusted_p: float | None = None
    told: bool = False
    seeds_needed: int | None = None
    detectable: float | None = None


def differences(
    names: Sequence[str], scores: Array, *, resolution: float = 0.0
) -> tuple[Difference, ...]:
    """Every pair, in the order of the ranking.

    Args:
        names: of the optimizers, the best mean first.
        scores: (optimizers, seeds), in that order; nan where there is none.
        resolution: the smallest step between two scores.
    """
    p = _in_order(p_values(scores, resolution=resolution), scores)
    adjusted = adjust(p)
    pairs = list(combinations(range(len(names)), 2))

    def difference(i: int, j: int, level: float) -> Difference:
        both, chances = (names[i], names[j]), (p[i, j], adjusted[i, j])
        return _difference(both, scores[[i, j]], chances, resolution=resolution, level=level)

    to_win = [difference(0, j, LEVEL).seeds_needed or MOST_SEEDS + 1 for j in range(1, len(names))]
    found = [difference(i, j, LEVEL / len(pairs)) for i, j in pairs]
    for j, of_leader in enumerate(found[: len(to_win)]):
        needed = min(of_leader.seeds_needed or MOST_SEEDS + 1, max(to_win))
        found[j] = replace(of_leader, seeds_needed=needed if needed <= MOST_SEEDS else None)
    return tuple(found)


def _in_order(p: Array, scores: Array) -> Array:
    """Without those (nan) of pairs whose paired gap contradicts their order."""
    gaps = np.nan_to_num(scores[:, None, :] - scores[None, :, :]).sum(axis=-1)
    upper = np.triu(np.ones_like(p, dtype=bool), 1)
    kept: Array = np.where(upper & (gaps < -ROUNDING), np.nan, p)
    return kept


def p_values(scores: Array, *, resolution: float = 0.0) -> Array:
    """Of Student's paired test, two-sided, for all pairs `(..., m, m)` of scores `(..., m, n)`.

    nan where fewer than two seeds are common to both.
    """
    from scipy.special import stdtr

    apart = scores[..., :, None, :] - scores[..., None, :, :]
    there = ~np.isnan(apart)
    n = there.sum(axis=-1).astype(np.float64)
    n[n < 2] = np.nan
    gap = np.where(there, apart, 0).sum(axis=-1) / n
    squares = np.where(there, (apart - gap[..., None]) ** 2, 0).sum(axis=-1)
    error = np.sqrt((squares / (n - 1) + 2 * rounding(resolution)) / n)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(gap == 0, 0.0, abs(gap) / error)
    p: Array = np.where(np.isnan(n), np.nan, 2 * stdtr(n - 1, -t))
    return p


def adjust(p: Array) -> Array:
    """Adjusted p values `(..., m, m)` from those of the pairs; row 0 is the leader's.

    A pair that could not be tested (nan) stays untested, and the leader does not beat it.
    """
    m = p.shape[-1]
    upper = np.triu_indices(m, 1)
    adjusted = np.full_like(p, np.nan)
    adjusted[..., upper[0], upper[1]] = holm(p[..., upper[0], upper[1]])
    if m > 1:
        beats_all = p[..., 0, 1:].max(axis=-1, keepdims=True)  # nan if any is
        adjusted[..., 0, 1:] = np.fmin(adjusted[..., 0, 1:], beats_all)
    return adjusted


def holm(p: Array) -> Array:
    """Holm's adjusted p values along the last axis; nan is passed over."""
    order = np.argsort(p, axis=-1)  # nan comes last
    ranked = np.take_along_axis(p, order, axis=-1)
    left = (~np.isnan(p)).sum(axis=-1, keepdims=True) - np.arange(p.shape[-1])
    stepped = np.maximum.accumulate(np.minimum(ranked * left, 1), axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, stepped, axis=-1)
    return adjusted


def _difference(
    pair: tuple[str, str],
    scores: Array,
    p: tuple[float, float],
    *,
    resolution: float,
    level: float,
) -> Difference:
    apart = scores[0] - scores[1]
    apart = apart[~np.isnan(apart)]
    if len(apart) < 2:
        means = [np.nanmean(row) if (~np.isnan(row)).any() else np.nan for row in scores]
        mean = apart[0] if len(apart) else means[0] - means[1]
        return Difference(*pair, Estimate(float(mean), len(apart)))
    spread = float(np.sqrt(apart.var(ddof=1) + 2 * rounding(resolution)))
    gap = estimate(apart.tolist(), resolution=resolution * 2**0.5)  # two values are rounded
    return Difference(
        *pair,
        gap=gap,
        p=None if np.isnan(p[0]) else float(p[0]),
        adjusted_p=None if np.isnan(p[1]) else float(p[1]),
        told=bool(p[1] < LEVEL),
        seeds_needed=seeds_to_tell(gap.mean, spread, level=level),
        detectable=detectable(spread, len(apart), level=level),
    )
