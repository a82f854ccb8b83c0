"""Repetition over seeds: which configurations are worth another one.

Every configuration runs the first seed. Before each further one, those that a paired test finds
worse than the best are left out: F-Race's idea (Birattari et al. 2002) with the analysis of
variance of a randomized block design, the seeds being the blocks. All configurations of one seed
share initialization, data order and held-out images, so differences within a seed count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from fallline.compare.estimate import CONFIDENCE

FIRST_LOOK: Final = 1 / 3  # of the configurations get a second seed, when no spread is known yet
FEWEST: Final = 3


def second_looks(trials: int) -> int:
    """How many of the trials that completed one seed get a second."""
    return min(trials, max(FEWEST, math.ceil(FIRST_LOOK * trials)))


def contenders(values: Mapping[int, Sequence[float]], *, maximize: bool) -> list[int]:
    """Which trials deserve one more seed, the best first.

    Args:
        values: for each trial its values by seed, as many of one trial as of another.
        maximize: whether larger is better.

    With one seed behind them there is no spread to test against: the best third go on. With more,
    those that Student's test, one-sided at 5 % over all comparisons together (Bonferroni), does
    not find worse than the best.
    """
    trials = list(values)
    if not trials:
        return []
    matrix = np.array([values[trial] for trial in trials], dtype=np.float64)  # (trials, seeds)
    matrix = matrix if maximize else -matrix
    means = matrix.mean(1)
    order = np.argsort(-means, kind="stable")
    if matrix.shape[1] == 1:
        kept = order[: second_looks(len(trials))]
    else:
        chance = _chance_of_such_a_gap(matrix, means.max() - means)
        kept = order[chance[order] > (1 - CONFIDENCE) / max(1, len(trials) - 1)]
    return [trials[i] for i in kept]


def _chance_of_such_a_gap(matrix: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """How often a gap to the best as wide as each (trials,) comes about between equals."""
    from scipy.special import stdtr

    trials, seeds = matrix.shape
    if trials == 1:
        return np.ones(1)
    rest = matrix - matrix.mean(1, keepdims=True) - matrix.mean(0, keepdims=True) + matrix.mean()
    freedom = (trials - 1) * (seeds - 1)
    error = math.sqrt(2 * float((rest**2).sum()) / freedom / seeds)
    if error == 0:
        return np.array([float(gap == 0) for gap in gaps])
    return np.array([float(stdtr(freedom, -gap / error)) for gap in gaps])
