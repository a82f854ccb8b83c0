"""Each statistic against scipy, a published number, or a case that can be worked out by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from fallline.compare.chances import chance_words, chances_of
from fallline.compare.difference import differences, holm, p_values
from fallline.compare.estimate import estimate
from fallline.compare.plan import Axis
from fallline.compare.power import detectable, power, seeds_to_tell
from fallline.compare.profile import profile_of
from fallline.compare.tuning import best_of, edges_of, sensitivity_of

SCORES = np.random.default_rng(5).normal([[0.72], [0.71], [0.60]], 0.01, (3, 5))


def test_an_interval_is_students() -> None:
    found = estimate(SCORES[0].tolist())
    low, high = stats.t.interval(0.95, 4, SCORES[0].mean(), stats.sem(SCORES[0]))
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert found.deviation == pytest.approx(SCORES[0].std(ddof=1))
    assert found.n == 5


def test_one_value_has_no_interval() -> None:
    assert estimate([0.7]).low is None


def test_equal_values_are_known_to_one_image_and_no_better() -> None:
    found = estimate([0.97, 0.97, 0.97], resolution=1 / 360)
    assert found.deviation == pytest.approx(0)
    assert found.half == pytest.approx(stats.t.ppf(0.975, 2) * (1 / 360) / 12**0.5 / 3**0.5)


def test_a_pair_is_tested_by_students_paired_test() -> None:
    assert p_values(SCORES)[0, 1] == pytest.approx(stats.ttest_rel(SCORES[0], SCORES[1]).pvalue)


def test_a_pair_is_tested_on_the_seeds_that_both_have() -> None:
    scores = SCORES.copy()
    scores[0, 0] = scores[1, 3] = np.nan
    both = [1, 2, 4]
    wanted = stats.ttest_rel(SCORES[0, both], SCORES[1, both]).pvalue
    assert p_values(scores)[0, 1] == pytest.approx(wanted)
    pair = differences(("a", "b", "c"), scores)[0]
    assert pair.gap.n == 3
    assert pair.gap.mean == pytest.approx((SCORES[0, both] - SCORES[1, both]).mean())


def test_who_is_ahead_by_another_seed_alone_is_not_told_from_who_beats_it_seed_by_seed() -> None:
    """As while a comparison runs: the first has a lucky seed more."""
    scores = np.array([[0.700, 0.701, 0.80], [0.710, 0.7111, np.nan], [0.5, 0.5001, np.nan]])
    first, second, third = differences(("a", "b", "c"), scores)
    assert first.gap.mean < 0
    assert (first.p, first.adjusted_p, first.told) == (None, None, False)
    assert third.p is not None
    assert second.adjusted_p == pytest.approx(min(1, 2 * second.p if second.p else 1))


def test_one_common_seed_tells_nothing() -> None:
    pairs = differences(("a", "b"), np.array([[0.9], [0.1]]))
    assert [(pair.p, pair.told, pair.seeds_needed) for pair in pairs] == [(None, False, None)]
    assert pairs[0].gap.mean == pytest.approx(0.8)


def test_holm_adjusts_as_published() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005])  # the example of R's p.adjust
    assert holm(p).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.01, np.nan, 0.03]))[[0, 2]].tolist() == pytest.approx([0.02, 0.03])


def test_power_is_that_of_r() -> None:
    assert power(1, 1, np.array([10.0]))[0] == pytest.approx(0.8030969, abs=1e-5)
    assert seeds_to_tell(1, 1) == 10  # power.t.test(delta=1, sd=1, type="paired", power=.8)
    assert seeds_to_tell(0.5, 1) == 34  # 33.37
    assert seeds_to_tell(0.05, 1) is None
    assert seeds_to_tell(0, 1) is None


def test_the_detectable_gap_is_the_one_that_so_many_seeds_tell() -> None:
    for seeds in (3, 5, 10):
        gap = detectable(0.2, seeds)
        assert power(gap, 0.2, np.array([float(seeds)]))[0] == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("leader", [0.9, 0.708])
def test_a_pair_that_enough_seeds_were_run_for_is_told(leader: float) -> None:
    """Though Holm's correction asks more of it: those below the leader are close."""
    corrected = 0
    for draw in range(100):
        means = np.array([[leader], [0.706], [0.703], [0.7]])
        scores = np.random.default_rng(draw).normal(means, 0.002, (4, 5))
        scores = scores[np.argsort(-scores.mean(1))]
        pairs = differences(("a", "b", "c", "d"), scores, resolution=1e-4)
        enough = [pair for pair in pairs if pair.seeds_needed and pair.seeds_needed <= 5]
        assert all(pair.told for pair in enough)
        corrected += sum(not pair.told for pair in pairs if pair.p and pair.p < 0.05)
    assert corrected > 0


def test_fewer_seeds_tell_a_pair_of_the_leader_than_one_of_many() -> None:
    pairs = differences(("a", "b", "c"), SCORES)
    apart = SCORES[1] - SCORES[2]
    gap, spread = float(apart.mean()), float(apart.std(ddof=1))
    assert pairs[2].seeds_needed == seeds_to_tell(gap, spread, level=0.05 / 3)
    assert pairs[2].detectable == pytest.approx(detectable(spread, 5, level=0.05 / 3))
    of_leader = SCORES[0] - SCORES[1:3]
    alone = [seeds_to_tell(float(row.mean()), float(row.std(ddof=1))) for row in of_leader]
    assert pairs[0].seeds_needed == max(seeds for seeds in alone if seeds)


def test_no_chance_is_written_as_certain() -> None:
    written = [chance_words(chance) for chance in (1.0, 0.9995, 0.996, 0.5, 0.0)]
    assert written == ["> 99.9 %", "> 99.9 %", "99.6 %", "50.0 %", "< 0.1 %"]


def test_the_chance_of_beating_a_rival_says_what_the_paired_test_says() -> None:
    chances = chances_of(SCORES)
    assert chances is not None
    one_sided = 1 - stats.ttest_rel(SCORES[0], SCORES[1]).pvalue / 2
    assert chances.beats_next[0] == pytest.approx(one_sided, abs=0.01)
    assert chances.beats_next[1] > 0.999
    assert sum(chances.best) == pytest.approx(1)
    assert chances.best[0] == pytest.approx(one_sided, abs=0.01)  # the third is out of the race


def test_a_leader_on_all_of_three_seeds_is_not_certain_to_be_the_best() -> None:
    chances = chances_of(np.array([[0.71, 0.72, 0.73], [0.70, 0.715, 0.71]]))
    assert chances is not None
    assert 0.9 < chances.best[0] < 0.99


def test_equal_optimizers_have_equal_chances() -> None:
    chances = chances_of(np.tile(SCORES[0], (4, 1)), resolution=1e-4)
    assert chances is not None
    assert chances.best == pytest.approx((0.25,) * 4, abs=0.02)


def test_the_expected_best_of_k_is_the_mean_over_all_subsets() -> None:
    values = [0.1, 0.9, 0.4, 0.6, 0.5]
    for row in best_of(values):
        subsets = list(combinations(values, row.k))
        assert row.expected == pytest.approx(sum(map(max, subsets)) / len(subsets))
        if row.low is not None and row.high is not None:
            assert row.low <= row.expected <= row.high


def test_the_share_of_learning_rates_within_a_point_counts_the_failed_ones() -> None:
    found = sensitivity_of("optim.lr", [0.3, 0.01, 0.1, 1.0], [0.70, 0.50, 0.695, None])
    assert found is not None
    assert (found.within, found.share) == (2, 0.5)
    assert [rate for rate, _ in found.points] == [0.01, 0.1, 0.3, 1.0]
    assert sensitivity_of("optim.lr", [0.3], [None]) is None


def test_a_choice_on_the_edge_of_its_space_is_flagged() -> None:
    space = (
        Axis("optim.lr", "log", 1e-3, 1.0),
        Axis("optim.weight_decay", "uniform", 0.0, 1.0),
        Axis("optim.momentum", "choice", values=(0.8, 0.9, 0.95)),
        Axis("optim.base", "choice", values=("sgd", "adam", "lion")),
    )
    inside = {"optim.lr": 0.03, "optim.weight_decay": 0.5, "optim.momentum": 0.9}
    assert edges_of(space, inside | {"optim.base": "sgd"}) == ()
    outside = {"optim.lr": 0.9, "optim.weight_decay": 0.05, "optim.momentum": 0.95}
    found = edges_of(space, outside | {"optim.base": "sgd"})
    assert [edge.end for edge in found] == ["the highest tenth", "the lowest tenth", "the largest"]


def test_a_performance_profile_is_that_of_dolan_and_more() -> None:
    costs: dict[str, list[float | None]] = {"a": [10.0, 30.0, 8.0], "b": [20.0, 10.0, None]}
    profile = profile_of("steps", ("x", "y", "z"), costs)
    a, b = profile.lines
    assert profile.factors == (1.0, 2.0, 3.0)
    assert a.ratios == (1.0, 3.0, 1.0)
    assert b.ratios == (2.0, 1.0, None)
    assert a.shares == pytest.approx((2 / 3, 2 / 3, 1.0))
    assert b.shares == pytest.approx((1 / 3, 2 / 3, 2 / 3))
