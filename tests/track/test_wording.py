"""What a person reads of a run."""

from __future__ import annotations

from fallline.track.wording import batches


def test_the_length_says_how_much_of_each_batch_is_trained_on() -> None:
    assert batches({"batch_size": 80}) == "batches of 80"
    assert batches({"batch_size": 80, "hardest": 1.0}) == "batches of 80"
    half = batches({"batch_size": 80, "hardest": 0.5})
    assert half == "batches of 80, the hardest 50% of each trained on"
