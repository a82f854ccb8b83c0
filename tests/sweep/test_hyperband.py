"""Early stopping: bands, decisions, and a race that can be rewound (parity: test_parity.py)."""

from __future__ import annotations

import random
import time

import pytest

from fallline.sweep.hyperband import Hyperband, Race, Stop


def report(race: Race, run: int | str, value: float) -> Stop | None:
    """What comes of a run's next value."""
    race.add(run, value)
    return race.judge(run)


@pytest.mark.parametrize(
    ("rule", "bands"),
    [
        (Hyperband.upwards(3, 2), (3, 6, 12, 24)),
        (Hyperband.upwards(1), (1, 3, 9, 27)),
        (Hyperband.upwards(1, 1.5), (1, 2, 3, 5, 7, 11, 17, 25)),
        (Hyperband.downwards(27, 2), (3, 9)),
        (Hyperband.downwards(27, 9), (1, 3, 9)),
        (Hyperband.downwards(10, 3, 2), (1, 2, 5)),
    ],
)
def test_bands_are_wandbs(rule: Hyperband, bands: tuple[int, ...]) -> None:
    assert rule.below(27) == bands


def test_bands_need_not_be_finite_in_number_nor_in_size() -> None:
    assert Hyperband.upwards(10, 1e9).bands[-1] > 10**300
    with pytest.raises(ValueError, match="has no band"):
        Hyperband.downwards(2, 5)


def test_nobody_is_stopped_before_the_first_band_nor_alone() -> None:
    race = Race(Hyperband.upwards(2), "minimize")
    assert report(race, "a", 9.0) is None
    assert report(race, "a", 9.0) is None
    assert race.judge("b") is None


def test_a_stop_says_at_which_band_with_which_value_against_which_threshold() -> None:
    race = Race(Hyperband.upwards(1, 3), "maximize")
    for i, accuracy in enumerate((0.9, 0.8, 0.7)):
        report(race, i, accuracy)
    stop = report(race, "slow", 0.5)
    assert stop
    assert (stop.band, stop.threshold, stop.value, stop.runs) == (1, 0.8, 0.5, 4)
    assert str(stop) == (
        "stopped at band 1: value 1 of the metric is 0.5, and the best 1/3 of 4 runs reach 0.8 "
        "there"
    )


def test_a_lenient_rule_looks_at_the_best_so_far() -> None:
    curves = {"good": (1.0, 1.0), "other": (1.0, 1.0), "late": (5.0, 0.5), "bad": (5.0, 5.0)}
    for strict, stopped in ((True, {"late", "bad"}), (False, {"bad"})):
        race = Race(Hyperband.upwards(1, 3, strict), "minimize")
        for run, curve in curves.items():
            for value in curve:
                race.add(run, value)
        assert {run for run in curves if race.judge(run)} == stopped


def test_values_that_are_not_finite_do_not_count() -> None:
    race = Race(Hyperband.upwards(2), "minimize")
    race.add("good", 0.0)
    race.add("good", 0.0)
    for value in (9.0, float("nan"), float("inf"), float("-inf")):
        assert report(race, "bad", value) is None
    assert report(race, "bad", 9.0)


def test_a_rewound_run_leaves_no_trace() -> None:
    chance = random.Random(0)
    twice, once = (Race(Hyperband.upwards(1, 2), "minimize") for _ in range(2))
    curves = {run: [round(chance.random(), 1) for _ in range(9)] for run in range(20)}
    for run, curve in curves.items():
        for value in curve:
            twice.add(run, value)
        twice.forget(run)
        for value in curve:
            twice.add(run, value)
        for value in curve:
            once.add(run, value)
    assert [twice.judge(run) for run in curves] == [once.judge(run) for run in curves]
    for run in curves:
        twice.forget(run)
    assert report(twice, "first", 1.0) is None


def test_ten_thousand_runs_are_judged_in_less_than_a_tenth_of_a_millisecond_each() -> None:
    chance, race = random.Random(0), Race(Hyperband.upwards(1), "maximize")
    began = time.process_time()
    for run in range(10_000):
        for _ in range(9):
            report(race, run, chance.random())
    assert time.process_time() - began < 9.0
