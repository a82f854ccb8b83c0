"""How much each setting decides, taken alone: a variance decomposition of ranks.

Kruskal and Wallis (1952) compare the ranks of groups; eta squared of their H (Tomczak and Tomczak
2014) is the share of the differences in rank that a setting explains by itself, less what chance
would. What two settings do only together is in none of the shares, so they need not add up to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fallline.report.configuration import is_number, written
from fallline.report.metric import Metric
from fallline.report.tried import Tried

FEWEST: Final = 12  # configurations; below, nothing is told
PER_GROUP: Final = 4  # configurations at least, in a group of neighbouring values
MOST_GROUPS: Final = 6
SHUFFLES: Final = 200


@dataclass(frozen=True)
class Importance:
    """A setting's share of the differences between configurations.

    `by_chance` is the share that a setting without any effect stays below in 95 of 100 cases;
    `n` how many configurations have the setting.
    """

    key: str
    share: float
    by_chance: float
    n: int

    @property
    def is_clear(self) -> bool:
        """Whether it is more than chance gives."""
        return self.share > self.by_chance


def importances(
    ranked: Sequence[Tried], keys: Sequence[str], metric: Metric
) -> tuple[Importance, ...]:
    """The settings, most important first; one that diverged counts as worst."""
    found = []
    for key in keys:
        having = [tried for tried in ranked if tried.settings.get(key) is not None]
        if len(having) >= FEWEST:
            ranks = _ranks([metric.order(tried.value) for tried in having])
            groups = _groups([tried.settings[key] for tried in having])
            if 1 < len(set(groups.tolist())) <= len(having) // 2:
                found.append(Importance(key, *_share(ranks, groups), len(having)))
    return tuple(sorted(found, key=lambda importance: -importance.share))


def _share(ranks: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Eta squared, and its 95 % quantile over shuffled ranks."""
    draw = np.random.default_rng(0)
    shuffled = [_eta_squared(draw.permutation(ranks), groups) for _ in range(SHUFFLES)]
    share, chance = _eta_squared(ranks, groups), float(np.quantile(shuffled, 0.95))
    return max(0.0, share), max(0.0, chance)


def _eta_squared(ranks: np.ndarray, groups: np.ndarray) -> float:
    """(H - k + 1) / (n - k), with H corrected for ties."""
    n, k = len(ranks), int(groups.max()) + 1
    counts = np.bincount(groups, minlength=k)
    means = np.bincount(groups, weights=ranks, minlength=k) / counts
    spread = float(((ranks - ranks.mean()) ** 2).sum())
    if spread == 0 or n <= k:
        return 0.0
    h = (n - 1) * float((counts * (means - ranks.mean()) ** 2).sum()) / spread
    return (h - k + 1) / (n - k)


def _ranks(values: Sequence[float]) -> np.ndarray:
    from scipy.stats import rankdata

    ranks: np.ndarray = rankdata(np.asarray(values))
    return ranks


def _groups(values: Sequence[Any]) -> np.ndarray:
    """Group numbers `int (n,)`: a category each, or stretches with equally many numbers."""
    distinct = list(dict.fromkeys(map(written, values)))
    most = max(2, min(MOST_GROUPS, len(values) // PER_GROUP))
    if len(distinct) <= most or not all(map(is_number, values)):
        return np.array([distinct.index(written(value)) for value in values])
    numbers = np.asarray(values, dtype=float)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, most + 1)[1:-1]))
    return np.unique(np.searchsorted(edges, numbers, side="right"), return_inverse=True)[1]
