from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fallline.data import Split, hold_out
from fallline.errors import ConfigError


def split_of(*counts: int) -> Split:
    """A split with that many images of each class, in mixed order, in an array twice as large."""
    labels = np.random.default_rng(7).permutation(np.repeat(np.arange(len(counts)), counts))
    rows = np.arange(0, 2 * len(labels), 2)
    everything = np.zeros(2 * len(labels), np.int64)
    everything[rows] = labels
    return Split(np.zeros((2 * len(labels), 1, 1, 1), np.uint8), everything, rows)


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(st.integers(2, 60), min_size=2, max_size=8), st.floats(0, 1), st.integers(0, 2**32)
)
def test_any_count_is_met_exactly_with_every_class_on_both_sides(
    counts: list[int], share: float, seed: int
) -> None:
    split = split_of(*counts)
    wanted = len(counts) + round(share * (sum(counts) - 2 * len(counts)))
    train, val = hold_out(split, wanted, seed)
    assert len(val) == wanted
    assert np.array_equal(np.sort(np.concatenate([train.rows, val.rows])), split.rows)
    assert (np.diff(train.rows) > 0).all()
    assert (np.diff(val.rows) > 0).all()
    assert set(train.targets) == set(val.targets) == set(split.targets)


def test_classes_keep_their_proportions() -> None:
    _, val = hold_out(split_of(1000, 500, 100), 160, 0)
    assert np.bincount(val.targets).tolist() == [100, 50, 10]


@pytest.mark.parametrize(
    ("counts", "held"), [((5000,) * 20, 5000), ((500, 500), 100), ((4, 4, 4), 3)]
)
def test_by_default_a_tenth_is_held_out_but_at_most_5000(
    counts: tuple[int, ...], held: int
) -> None:
    assert len(hold_out(split_of(*counts), None, 0)[1]) == held


def test_a_fraction_is_one_of_the_split() -> None:
    assert len(hold_out(split_of(50, 50), 0.25, 0)[1]) == 25


def test_the_seed_decides_which() -> None:
    split = split_of(50, 50)
    one, same, other = (hold_out(split, 20, seed)[1].rows for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_choice_is_the_same_in_every_version() -> None:
    assert hold_out(split_of(6, 6), 4, 0)[1].rows.tolist() == [4, 6, 16, 22]


@pytest.mark.parametrize("amount", [0, 1, 9, 10, -3, 0.0, 1.0, 0.95])
def test_an_amount_that_empties_a_class_is_refused_with_the_range(amount: float) -> None:
    with pytest.raises(ConfigError, match="2 to 8 images") as caught:
        hold_out(split_of(5, 5), amount, 0)
    assert f"{amount} (" in str(caught.value)


def test_a_class_with_one_image_cannot_be_divided() -> None:
    with pytest.raises(ConfigError, match="a class has a single image"):
        hold_out(split_of(5, 1), None, 0)
