"""The statistics keep their word: simulated populations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fallline.compare.difference import adjust, p_values
from fallline.compare.estimate import LEVEL, Array, interval
from fallline.compare.tuning import best_of

DRAWS = 20_000


def simulate(means: list[float], deviation: float | list[float], seeds: int, draws: int) -> Array:
    """Scores (draws, optimizers, seeds): half of a seed's variance is common to all optimizers."""
    generator = np.random.default_rng(20261125)
    common = generator.standard_normal((draws, 1, seeds))
    own = generator.standard_normal((draws, len(means), seeds))
    spread = np.broadcast_to(np.asarray(deviation), len(means))[:, None]
    scores: Array = np.asarray(means)[:, None] + spread * (common + own) / np.sqrt(2)
    return scores


def rank(scores: Array) -> tuple[Array, NDArray[np.intp]]:
    """The scores with the best mean first, and which optimizer each row is."""
    order = np.argsort(-scores.mean(axis=-1), axis=-1)
    return np.take_along_axis(scores, order[..., None], axis=-2), order


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 8])
def test_an_interval_covers_the_true_mean_in_94_to_96_of_100_cases(seeds: int) -> None:
    scores = simulate([0.7], 0.004, seeds, DRAWS)[:, 0]
    mean, half = interval(scores)
    assert 0.94 <= (abs(mean - 0.7) <= half).mean() <= 0.96


@pytest.mark.parametrize("seeds", [3, 5])
def test_an_interval_covers_when_accuracies_count_the_images_of_a_small_split(seeds: int) -> None:
    images = 360
    scores = np.round(simulate([0.97], 0.004, seeds, DRAWS)[:, 0] * images) / images
    mean, half = interval(scores, resolution=1 / images)
    assert 0.94 <= (abs(mean - 0.97) <= half).mean() <= 0.97


def test_the_percentile_bootstrap_would_not_keep_its_word() -> None:
    scores = simulate([0.7], 0.004, 3, 2000)[:, 0]
    resampled = np.random.default_rng(0).integers(0, 3, (400, 3))
    ends = np.quantile(scores[:, resampled].mean(axis=-1), (0.025, 0.975), axis=1)
    assert ((ends[0] <= 0.7) & (ends[1] >= 0.7)).mean() < 0.8


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("optimizers", [2, 3, 7])
def test_among_equals_no_winner_is_declared_in_93_of_100_draws(
    optimizers: int, seeds: int
) -> None:
    ranked, _ = rank(simulate([0.7] * optimizers, 0.004, seeds, 8000))
    told = adjust(p_values(ranked)) < LEVEL
    assert told[:, 0, 1:].all(axis=-1).mean() <= 0.07
    assert told.any(axis=(1, 2)).mean() <= 0.07  # nor is any two of them told apart


@pytest.mark.parametrize(
    ("means", "deviation"),
    [
        ([0, 0, -9, -9, -9], 1.0),
        ([0, 0, 0, -9, -9], 1.0),
        ([0, -0.1, -0.1, -9], 1.0),
        ([0, 0, -3, -3, -3, -3], 1.0),
        ([0, 0, -9, -9], [1.0, 0.2, 3.0, 0.5]),
    ],
    ids=["two lead", "three lead", "one leads closely", "two lead four", "unequal spreads"],
)
def test_a_false_winner_is_declared_in_at_most_7_of_100_draws(
    means: list[float], deviation: float | list[float]
) -> None:
    ranked, order = rank(simulate(means, deviation, 5, 8000))
    told = adjust(p_values(ranked)) < LEVEL
    truth = np.asarray(means)[order]
    is_best_alone = (truth[:, 0] == max(means)) & (means.count(max(means)) == 1)
    assert (told[:, 0, 1:].all(axis=-1) & ~is_best_alone).mean() <= 0.06


def test_a_planted_order_is_found() -> None:
    means = [0.700, 0.690, 0.670]  # 5 and 15 deviations of a paired difference apart
    ranked, order = rank(simulate(means, 0.002, 5, 2000))
    told = adjust(p_values(ranked)) < LEVEL
    right = (order == [0, 1, 2]).all(axis=-1)
    assert right.all()
    assert told[:, 0, 1:].all(axis=-1).mean() > 0.99
    assert told[:, 1, 2].mean() > 0.99


def test_the_band_of_the_best_of_k_has_no_level_and_ends_where_it_would_mislead() -> None:
    generator = np.random.default_rng(1)
    n, draws = 12, 150
    bands = [best_of(generator.random(n).tolist(), seed=draw)[: n // 2] for draw in range(draws)]
    holds = [
        [
            b.low is not None and b.high is not None and b.low <= b.k / (b.k + 1) <= b.high
            for b in row
        ]
        for row in bands
    ]
    coverage = np.mean(holds, axis=0)
    assert coverage[0] >= 0.85
    assert coverage[-1] >= 0.7
    beyond = best_of(generator.random(n).tolist())[n // 2 :]
    assert [(b.low, b.high) for b in beyond] == [(None, None)] * (n - n // 2)


def test_the_expected_best_of_k_is_unbiased_for_independent_draws() -> None:
    generator = np.random.default_rng(3)
    k, n = 3, 6
    estimates = [best_of(generator.random(n).tolist())[k - 1].expected for _ in range(300)]
    standard_error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - k / (k + 1)) < 3 * standard_error  # of uniform numbers
