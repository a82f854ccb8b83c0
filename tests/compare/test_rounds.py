"""Which configurations are worth another seed."""

from __future__ import annotations

import random
from statistics import fmean

from fallline.compare.rounds import contenders, in_order, rounds
from fallline.sweep.results import Trial, ranked


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


def test_who_was_let_into_more_rounds_is_ahead_whatever_the_lucky_seed_of_another() -> None:
    values = {n: {0: v} for n, v in enumerate([0.9, 0.89, 0.88, 0.1, 0.2])}
    for trial, second in ((0, 0.5), (1, 0.6)):  # trial 2 was let in as well, and its seed failed
        values[trial][1] = second
    assert rounds(values, maximize=True) == {0: 2, 1: 2, 2: 2, 3: 1, 4: 1}
    assert in_order(values, rounds(values, maximize=True), maximize=True) == [1, 2, 0, 4, 3]
    negative = {n: {s: -v for s, v in by_seed.items()} for n, by_seed in values.items()}
    assert in_order(negative, rounds(negative, maximize=False), maximize=False) == [1, 2, 0, 4, 3]


def test_who_diverged_with_a_later_seed_was_in_the_race() -> None:
    """Else another would be taken for the third that was let in."""
    values = {0: {0: 0.9, 1: 0.9}, 1: {0: 0.8}, 2: {0: 0.7, 1: 0.7}, 3: {0: 0.6}}
    let_in = rounds(values, maximize=True)
    left = {trial: by_seed for trial, by_seed in values.items() if trial != 1}
    assert let_in[3] == 1
    assert in_order(left, let_in, maximize=True) == [0, 2, 3]
    trials = tuple(
        Trial(number, {}, "diverged" if number == 1 else "completed", values=by_seed)
        for number, by_seed in values.items()
    )
    assert [trial.number for trial in ranked(trials, "maximize")] == [0, 2, 3]
