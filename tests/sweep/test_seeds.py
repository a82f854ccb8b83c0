"""What a configuration is worth over its seeds, and which ones are worth another."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from fallline.sweep.seeds import contenders, score


def test_one_seed_has_a_value_and_no_interval() -> None:
    assert score([]) is None
    alone = score([0.7])
    assert alone is not None
    assert (alone.mean, alone.n, alone.deviation, alone.interval) == (0.7, 1, None, None)


def test_the_interval_is_students() -> None:
    found = score([1.0, 2.0, 3.0, 4.0])
    assert found is not None
    assert found.interval is not None
    assert found.mean == 2.5
    assert found.deviation == pytest.approx(1.2909944)
    assert found.interval == pytest.approx((0.445739, 4.554261), abs=1e-5)  # t(3) = 3.182446


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    chance, hits = random.Random(0), 0
    for _ in range(2000):
        found = score([chance.gauss(5, 2) for _ in range(4)])
        assert found is not None
        assert found.interval is not None
        hits += found.interval[0] <= 5 <= found.interval[1]
    assert 0.935 < hits / 2000 < 0.965


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
