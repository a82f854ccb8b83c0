"""Which configurations are worth another seed."""

from __future__ import annotations

import random
from statistics import fmean

from fallline.sweep.seeds import contenders


def test_with_one_seed_the_best_third_go_on() -> None:
    values = {number: [number / 10] for number in range(12)}
    assert contenders(values, maximize=True) == [11, 10, 9, 8]
    assert contenders(values, maximize=False) == [0, 1, 2, 3]
    assert contenders({5: [1.0]}, maximize=True) == [5]
    assert contenders({}, maximize=True) == []


def test_noise_that_a_seed_shares_over_trials_does_not_blur_the_test() -> None:
    shared = [0.0, 0.3, -0.2]  # much more than what sets the trials apart
    values = {
        n: [v + s + (i * n % 3) / 1000 for i, s in enumerate(shared)]
        for n, v in enumerate([0.50, 0.51, 0.60])
    }
    assert contenders(values, maximize=True) == [2]


def test_equal_trials_are_seldom_left_out() -> None:
    chance, kept = random.Random(1), []
    for _ in range(500):
        values = {n: [chance.gauss(0, 1) for _ in range(3)] for n in range(4)}
        kept.append(len(contenders(values, maximize=True)) / 4)
    assert fmean(kept) > 0.95


def test_one_without_any_spread_is_left_out_only_where_it_is_worse() -> None:
    values = {0: [1.0, 1.0], 1: [1.0, 1.0], 2: [0.5, 0.5]}
    assert contenders(values, maximize=True) == [0, 1]
