"""Rounds of seeds: which configurations are worth another one, and who is ahead.

Every configuration runs the first seed. Before each further one, those that a paired test finds
worse than the best are left out: F-Race's idea (Birattari et al. 2002) with the analysis of
variance of a randomized block design, the seeds being the blocks. All configurations of one seed
share initialization, data order and held-out images, so differences within a seed count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final, TypeVar

import numpy as np

from fallline.compare.estimate import CONFIDENCE

FIRST_LOOK: Final = 1 / 3  # of the configurations get a second seed, when no spread is known yet
FEWEST: Final = 3
Key = TypeVar("Key")


def second_looks(trials: int) -> int:
    """How many of the trials that completed one seed get a second."""
    return min(trials, max(FEWEST, math.ceil(FIRST_LOOK * trials)))


def contenders(values: Mapping[Key, Sequence[float]], *, maximize: bool) -> list[Key]:
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


def rounds(values: Mapping[Key, Mapping[int, float]], *, maximize: bool) -> dict[Key, int]:
    """Into how many rounds each trial was let, found again from its values by seed.

    Whoever was let into more was ahead of whoever was left out, whatever the one lucky seed of the
    other, and also where a seed of its own has failed or has not run yet.
    """
    let_in, seed = dict.fromkeys(values, 1), 1
    while any(seed in of_trial for of_trial in values.values()):
        told = {
            trial: [of_trial[s] for s in range(seed)]
            for trial, of_trial in values.items()
            if all(s in of_trial for s in range(seed))
        }
        let_in |= dict.fromkeys(contenders(told, maximize=maximize), seed + 1)
        seed += 1
    return let_in


def in_order(
    values: Mapping[Key, Mapping[int, float]], let_in: Mapping[Key, int], *, maximize: bool
) -> list[Key]:
    """Trials by their values by seed, the best first: by rounds, then by mean.

    Where one lacks a seed that others in as many rounds have, what counts is how far it was from
    their mean on each seed: a lucky seed lifts all.

    Args:
        values: of the trials to sort.
        let_in: what `rounds` found, among all that took part.
        maximize: whether larger is better.
    """
    sign = 1 if maximize else -1
    seen: dict[tuple[int, int], list[float]] = {}  # by rounds and seed
    for trial, by_seed in values.items():
        for seed, value in by_seed.items():
            seen.setdefault((let_in[trial], seed), []).append(value)
    means = {place: fmean(found) for place, found in seen.items()}

    def ahead(trial: Key) -> float:
        let = let_in[trial]
        return sign * fmean(value - means[let, seed] for seed, value in values[trial].items())

    return sorted(values, key=lambda trial: (-let_in[trial], -ahead(trial)))


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
