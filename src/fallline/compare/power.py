"""How many seeds would tell a difference: the power of Student's paired test."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from fallline.compare.estimate import LEVEL, Array

POWER: Final = 0.8  # the field's usual: Cohen 1988, Statistical Power Analysis, section 2.4
MOST_SEEDS: Final = 1000


def power(gap: float, deviation: float, seeds: Array, *, level: float = LEVEL) -> Array:
    """The chance `(k,)` that each number of paired seeds `(k,)` tells a true gap from noise.

    Args:
        gap: mean of the paired differences.
        deviation: of one paired difference.
        seeds: numbers of at least 2.
        level: of the test, two-sided.
    """
    from scipy.special import nctdtr, stdtrit

    freedom = seeds - 1
    threshold = stdtrit(freedom, 1 - level / 2)
    shift = np.minimum(abs(gap) / deviation * np.sqrt(seeds), 30.0)  # nctdtr's precision ends
    told: Array = 1 - nctdtr(freedom, shift, threshold) + nctdtr(freedom, shift, -threshold)
    return told


def seeds_to_tell(gap: float, deviation: float, *, level: float = LEVEL) -> int | None:
    """The fewest paired seeds that tell the gap with 80 % power; None: more than 1,000."""
    if gap == 0 or deviation == 0:
        return None if gap == 0 else 2
    seeds = np.arange(2, MOST_SEEDS + 1, dtype=np.float64)
    enough = np.flatnonzero(power(gap, deviation, seeds, level=level) >= POWER)
    return int(seeds[enough[0]]) if len(enough) else None


def detectable(deviation: float, seeds: int, *, level: float = LEVEL) -> float:
    """The smallest gap that `seeds` paired seeds tell with 80 % power."""
    from scipy.special import nctdtrinc, stdtrit

    threshold = float(stdtrit(seeds - 1, 1 - level / 2))
    shift = float(nctdtrinc(seeds - 1, 1 - POWER, threshold))
    return shift * deviation / math.sqrt(seeds)
