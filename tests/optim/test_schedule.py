"""Schedules as numbers."""

from __future__ import annotations

import math

import pytest

from fallline.errors import ConfigError
from fallline.optim.schedule import SCHEDULES, factor, set_lr


@pytest.mark.parametrize("name", SCHEDULES.names)
def test_every_factor_is_positive_at_the_start_and_never_above_one(name: str) -> None:
    factors = [factor(name, step, 97, gamma=0.5) for step in range(97)]
    assert all(0 < f <= 1 for f in factors)
    assert max(factors) == 1.0


@pytest.mark.parametrize("name", ["linear", "cosine", "onecycle", "triangular"])
@pytest.mark.parametrize("final", [0.0, 0.1])
def test_the_last_step_is_nearly_the_final_factor(name: str, final: float) -> None:
    assert factor(name, 999, 1000, final=final) == pytest.approx(final, abs=2e-3)


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "step"])
def test_a_warm_up_rises_in_a_straight_line_to_one(name: str) -> None:
    rise = [factor(name, step, 100, warmup=0.1) for step in range(10)]
    assert rise == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert factor(name, 10, 100, warmup=0.1) == 1.0


def test_linear_and_cosine_are_halfway_at_half_of_what_follows_the_warm_up() -> None:
    for name in ("linear", "cosine"):
        assert factor(name, 60, 100, warmup=0.2) == pytest.approx(0.5)
        assert factor(name, 60, 100, warmup=0.2, final=0.2) == pytest.approx(0.6)


def test_cosine_is_flat_at_both_ends() -> None:
    assert factor("cosine", 10, 1000) > 1 - 3e-4
    assert factor("cosine", 250, 1000) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_triangular_and_onecycle_peak_where_told() -> None:
    assert factor("triangular", 0, 100, peak=0.25) == pytest.approx(0.04)
    assert factor("onecycle", 24, 100, peak=0.25) == 1.0
    for name in ("triangular", "onecycle"):
        factors = [factor(name, step, 100, peak=0.25) for step in range(100)]
        assert max(factors) == factors[24]
        assert factors[:25] == sorted(factors[:25])
        assert factors[24:] == sorted(factors[24:], reverse=True)
        assert factor(name, 0, 100, peak=0.0) == 1.0


def test_step_drops_at_its_milestones() -> None:
    factors = [factor("step", s, 10, milestones=(0.3, 0.7), gamma=0.1) for s in range(10)]
    assert factors == pytest.approx([1] * 3 + [0.1] * 4 + [0.01] * 3)


@pytest.mark.parametrize("name", SCHEDULES.names)
@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_runs_move(name: str, total: int) -> None:
    for warmup in (0.0,) if SCHEDULES[name].rises else (0.0, 0.5, 1.0):
        for step in range(total + 2):
            assert 0 < factor(name, step, total, warmup=warmup) <= 1


def test_a_warm_up_before_a_shape_that_rises_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"schedule\.warmup"):
        factor("triangular", 0, 100, warmup=0.1)


def test_an_unknown_schedule_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean cosine"):
        factor("cosin", 0, 10)


def test_set_lr_keeps_the_ratios_of_groups() -> None:
    class Two:
        param_groups = [  # noqa: RUF012
            {"lr": 9.0, "initial_lr": 1.0},
            {"lr": 9.0, "initial_lr": 64.0},
        ]

    set_lr(Two(), 0.5)
    assert [group["lr"] for group in Two.param_groups] == [0.5, 32.0]
