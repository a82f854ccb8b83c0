"""Grids and draws: what decides them, and what does not."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.space import (
    Beta,
    Choice,
    Constant,
    Dimension,
    Integers,
    LogNormal,
    LogUniform,
    Normal,
    Rounded,
    Space,
    Uniform,
)
from fallline.sweep.points import Grid, draw, place, settled

DIMENSIONS: list[Dimension] = [
    Constant("x"),
    Choice((1, 2, 3)),
    Choice((1, 2, 3), (0.0, 1.0, 0.0)),
    Integers(-2, 7),
    Uniform(-1.0, 1.0),
    LogUniform(1e-5, 1e5),
    Normal(0.0, 1.0),
    LogNormal(0.0, 300.0),
    Beta(0.5, 0.5),
    Rounded(Uniform(0.0, 1.0), 0.1),
    Rounded(LogUniform(8, 512), 8),
    Rounded(LogNormal(0.0, 300.0), 8),
]


def test_a_grid_is_the_product_with_its_last_name_fastest() -> None:
    space: Space = {"a": Choice((1, 2)), "b": Constant("x"), "c": Integers(5, 7)}
    expected = [{"a": a, "b": "x", "c": c} for a, c in product((1, 2), (5, 6, 7))]
    assert list(Grid(space)) == expected
    assert Grid(space)[-1] == expected[-1]
    assert Grid(space)[2:4] == expected[2:4]


def test_a_huge_grid_costs_nothing_and_ends_where_it_ends() -> None:
    grid = Grid({str(i): Integers(0, 9) for i in range(15)})
    assert len(grid) == 10**15
    assert grid[10**15 - 1] == {str(i): 9 for i in range(15)}
    with pytest.raises(IndexError, match="there is none at"):
        grid[10**15]


def test_a_draw_depends_on_seed_number_and_key_alone() -> None:
    space: Space = {"a": Uniform(0.0, 1.0), "b": Normal(0.0, 1.0)}
    more: Space = {"0": Uniform(0.0, 1.0), **space, "z": Integers(1, 9)}
    for number in (0, 1, 17):
        drawn, other = draw(space, 3, number), draw(more, 3, number)
        assert {key: other[key] for key in space} == drawn
    assert draw(space, 3, 1) != draw(space, 4, 1)
    assert draw(space, 3, 1) != draw(space, 3, 2)


def test_draws_are_the_same_in_every_version() -> None:
    """A change here changes the configurations of every sweep that somebody resumes."""
    assert place(0, 0, "optim.lr") == 0.5725271591123442
    assert place(1, 23, "train.batch_size") == 0.8542809050825384


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 10**9), st.text(max_size=20))
def test_a_place_lies_strictly_between_0_and_1(seed: int, number: int, key: str) -> None:
    assert 0 < place(seed, number, key) < 1


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=str)
def test_a_dimension_never_falls_and_has_a_value_at_both_ends(dimension: Dimension) -> None:
    values = [dimension.at(i / 500) for i in range(501)]
    assert all(value == value for value in values), "none is nan"
    if not isinstance(dimension, Constant):
        assert values == sorted(values)


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=str)
def test_the_quantile_of_a_value_leads_back_to_it(dimension: Dimension) -> None:
    for value in (dimension.at(i / 500) for i in range(1, 500)):
        expected = value if isinstance(value, str) else pytest.approx(value, rel=1e-9)
        assert dimension.at(dimension.quantile(value)) == expected


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=str)
def test_a_dimension_says_what_it_is_in_words(dimension: Dimension) -> None:
    assert "(" not in str(dimension).removeprefix("log-normal, exp(") or "%" in str(dimension)


def test_a_value_without_probability_is_never_drawn() -> None:
    choice = Choice(("never", "always", "never either"), (0.0, 1.0, 0.0))
    assert {choice.at(i / 100) for i in range(101)} == {"always"}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Choice(()), "at least one value"),
        (lambda: Choice((1, 2), (0.5,)), "a probability for each"),
        (lambda: Choice((1, 2), (0.5, 0.6)), "sum to 1"),
        (lambda: Choice((1, 2), (1.5, -0.5)), "probabilities >= 0"),
        (lambda: Integers(2, 2), "low < high"),
        (lambda: LogUniform(0.0, 1.0), "0 < low < high"),
        (lambda: Normal(0.0, 0.0), "sigma > 0"),
        (lambda: Beta(0.0, 1.0), "a > 0"),
        (lambda: Rounded(Uniform(0.0, 1.0), 0.0), "q > 0"),
    ],
)
def test_a_dimension_that_has_no_values_is_refused(make: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()  # type: ignore[operator]


def test_equal_configurations_are_recognized_whatever_their_order_and_spelling() -> None:
    assert settled({"a": 64, "b": [1]}) == settled({"b": [1], "a": 64.0})
    assert settled({"a": 1}) != settled({"a": True})
    assert settled({"a": 1}) != settled({"a": "1"})
