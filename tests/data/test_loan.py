"""Image sets lent to other machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fallline.data import ImageSet, load
from fallline.data.imageset import Pixels
from fallline.data.loan import blocks_of, borrow, lend
from fallline.errors import DataError


@pytest.fixture
def digits() -> ImageSet:
    return load("digits")


def never() -> Iterator[Pixels]:
    raise AssertionError("no pixels are needed")


def test_a_borrowed_set_is_the_set_and_is_copied_once(
    digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path))
    loan = replace(lend(digits), file="/of/another/machine")
    for blocks in (lambda: blocks_of(digits), never):
        borrowed = borrow(loan, blocks)
        assert borrowed.fingerprint == digits.fingerprint
        assert (borrowed.classes, borrowed.mirror) == (digits.classes, digits.mirror)
        assert (borrowed.mean, borrowed.std) == (digits.mean, digits.std)
        assert np.array_equal(borrowed.train.images, digits.train.images)
        for name in ("train", "val", "test"):
            here, there = getattr(digits, name), getattr(borrowed, name)
            assert (here is None) == (there is None)
            assert here is None or np.array_equal(here.rows, there.rows)
            assert here is None or np.array_equal(here.targets, there.targets)
    assert len(list(tmp_path.glob("sets/*.images"))) == 1


def test_where_the_lenders_file_is_seen_nothing_is_copied(
    digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path))
    assert borrow(lend(digits), never).fingerprint == digits.fingerprint
    assert not list(tmp_path.iterdir())


def test_pixels_that_arrive_changed_are_refused(
    digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FALLLINE_CACHE", str(tmp_path))
    loan = replace(lend(digits), file="")

    def flipped() -> Iterator[Pixels]:
        for block in blocks_of(digits):
            changed = block.copy()
            changed[0, 0, 0, 0] ^= 1
            yield changed

    with pytest.raises(DataError, match="arrived changed"):
        borrow(loan, flipped)
