"""How probable it is that an optimizer is the best, or beats the next: a paired bootstrap.

Resampling three to five seeds with replacement is too sure of itself: a leader on all of three
seeds would be the best with 100 %. Here each draw gives the seeds random normal weights, the same
for all optimizers (the multiplier or wild bootstrap: Wu 1986, Mammen 1993), and divides by the
root of a chi-square variable over its degrees of freedom. The distribution of any difference is
then exactly Student's, so these chances, the intervals and the tests say the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fallline.compare.estimate import Array, rounding

DRAWS: Final = 20_000


@dataclass(frozen=True)
class Chances:
    """For each optimizer: of being the best of all, and of being better than the next."""

    best: tuple[float, ...]
    beats_next: tuple[float, ...]


def chances_of(scores: Array, *, resolution: float = 0.0, seed: int = 0) -> Chances | None:
    """The chances, from scores `(optimizers, seeds)`, the best mean first; None without spread.

    Args:
        scores: nan where there is none; every optimizer needs two.
        resolution: the smallest step between two scores.
        seed: of the draws.
    """
    if len(scores) == 0 or (~np.isnan(scores)).sum(axis=1).min() < 2:
        return None
    drawn = draw_means(scores, resolution=resolution, seed=seed)
    first = drawn.max(axis=1, keepdims=True) == drawn
    best = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    ahead = drawn[:, :-1] - drawn[:, 1:]
    beats = (ahead > 0).mean(axis=0) + (ahead == 0).mean(axis=0) / 2
    return Chances(tuple(best.tolist()), tuple(beats.tolist()))


def chance_words(chance: float) -> str:
    """A chance as people read it; no number of draws makes it certain."""
    text = "> 99.9" if chance > 0.999 else "< 0.1" if chance < 0.001 else f"{100 * chance:.1f}"
    return f"{text} %"


def draw_means(scores: Array, *, resolution: float = 0.0, seed: int = 0) -> Array:
    """Draws `(DRAWS, optimizers)` of what the true means may be."""
    generator = np.random.default_rng(seed)
    n = (~np.isnan(scores)).sum(axis=1)
    means = np.nansum(scores, axis=1) / n
    apart = np.nan_to_num(scores - means[:, None]) / np.sqrt(n * (n - 1))[:, None]
    weights = generator.standard_normal((DRAWS, scores.shape[1]))
    rounded = generator.standard_normal((DRAWS, len(scores))) * np.sqrt(rounding(resolution) / n)
    freedom = int(n.min()) - 1
    scale = np.sqrt(generator.chisquare(freedom, (DRAWS, 1)) / freedom)
    drawn: Array = means + (weights @ apart.T + rounded) / scale
    return drawn
