"""What a person reads of a run."""

from __future__ import annotations

from pathlib import Path

from sample_run import outcome, start_of

from fallline.track.wording import batches, what_next


def test_the_length_says_how_much_of_each_batch_is_trained_on() -> None:
    assert batches({"batch_size": 80}) == "batches of 80"
    assert batches({"batch_size": 80, "hardest": 1.0}) == "batches of 80"
    half = batches({"batch_size": 80, "hardest": 0.5})
    assert half == "batches of 80, the hardest 50% of each trained on"


def test_no_word_of_predicting_where_no_weights_were_kept(tmp_path: Path) -> None:
    kept = what_next(start_of(tmp_path), outcome())
    assert any("fallline predict" in line for line in kept)
    gone = start_of(tmp_path, train={"keep_weights": False})
    assert what_next(gone, outcome()) == [line for line in kept if "fallline predict" not in line]
