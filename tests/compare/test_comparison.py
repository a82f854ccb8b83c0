"""From the folder of a comparison to its results: everything planned is accounted for."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planted_comparison import ENVIRONMENT, Fate, plan, plant

from fallline.compare.comparison import Comparison, comparison_of
from fallline.compare.evidence import Training, chosen
from fallline.compare.plan import Budget
from fallline.errors import RunError

NOISE = {1: 0.002, 2: -0.001, 3: -0.0015}
LEVEL = {"sgd": 0.70, "adam": 0.68, "sam": 0.66}
IMAGES: Any = ENVIRONMENT["data"]
OWN = {"sgd": 0.0, "adam": 0.0005, "sam": -0.0005}


def ordered(workload: str, optimizer: str, phase: str, trial: int, seed: int) -> Fate | None:
    """sgd before adam before sam; configuration 2 is the best of each; 3 diverges for adam."""
    level = LEVEL[optimizer]
    if phase == "tune":
        if optimizer == "adam" and trial == 3:
            return Fate((0.3,), status="diverged")
        val = level - 0.05 * abs(trial - 2)
        return Fate((val / 2, val))
    if trial != 2:
        return None
    noise = NOISE[seed] + OWN[optimizer] * seed
    return Fate((level / 2, level), test=level + noise)


def tied(workload: str, optimizer: str, phase: str, trial: int, seed: int) -> Fate | None:
    """sgd and adam on a level, sam below."""
    fate = ordered(workload, optimizer, phase, trial, seed)
    if fate is None or fate.test is None or optimizer != "adam":
        return fate
    return replace(fate, test=0.7 - 2 * NOISE[seed])


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    return comparison_of(plant(tmp_path / "planted", plan(), ordered))


def test_a_planted_order_is_the_ranking(found: Comparison) -> None:
    workload = found.workloads[0]
    assert [s.optimizer for s in workload.standings] == ["sgd", "adam", "sam"]
    assert [s.rank for s in workload.standings] == [1, 2, 3]
    assert workload.scoring.measure == "test/accuracy"
    assert workload.verdict.winner == "sgd"
    assert workload.verdict.contenders == ("sgd",)
    leader = workload.standings[0]
    assert leader.score is not None
    assert leader.score.mean == pytest.approx(0.6998333)
    assert leader.score.n == 3
    assert leader.chance_best is not None
    assert leader.chance_best > 0.99
    assert found.complete


def test_the_answer_is_one_sentence_with_its_uncertainty(found: Comparison) -> None:
    assert re.fullmatch(
        r"sgd reaches 70\.0 % ± 0\.5 \(95 % interval, n = 3\) on test and wins: 1\.90 points "
        r"ahead of adam \(1\.7\d to 2\.0\d\); over 99\.9 % to be the best\.",
        found.answer,
    ), found.answer


@pytest.mark.parametrize("file", ["outcome.json", "metrics.jsonl"])
def test_a_folder_that_cannot_be_read_is_still_to_come_and_says_why(
    tmp_path: Path, file: str
) -> None:
    folder = plant(tmp_path / "planted", plan(), ordered)
    (folder / "repeat-mlp-adam-02-seed2" / file).write_bytes(b"{[\xff\n{}\n")
    found = comparison_of(folder)
    assert not found.complete
    (broken,) = (t for s in found.workloads[0].standings for t in s.repeats if not t.has_ended)
    assert broken.seed == 2
    assert "may be deleted" in broken.reason


def test_a_folder_is_known_by_its_name_whatever_became_of_its_trial(tmp_path: Path) -> None:
    folder = plant(tmp_path / "planted", plan(), ordered)
    (folder / "repeat-mlp-adam-02-seed2" / "trial.json").write_bytes(b"{[\xff")
    assert comparison_of(folder).complete


def test_what_cannot_be_told_apart_has_no_winner(tmp_path: Path) -> None:
    found = comparison_of(plant(tmp_path / "planted", plan(), tied))
    verdict = found.workloads[0].verdict
    assert verdict.winner is None
    assert set(verdict.contenders) == {"sgd", "adam"}
    assert "cannot be told" in verdict.sentence
    assert "seeds" in verdict.sentence
    gap = found.workloads[0].differences[0]
    assert not gap.told
    assert gap.detectable is not None


def test_a_leader_whose_rivals_came_to_no_score_is_told_so(tmp_path: Path) -> None:
    def alone(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        if name != "sgd":
            return Fate((), status="diverged") if phase == "tune" else None
        return ordered(workload, name, phase, trial, seed)

    verdict = comparison_of(plant(tmp_path / "planted", plan(), alone)).workloads[0].verdict
    assert verdict.winner is None
    assert verdict.sentence.endswith("on test, and no rival came to a score.")


@pytest.mark.parametrize("fate", ["failed", "diverged"])
def test_an_optimizer_of_which_nothing_completed_is_named_in_the_answer(
    tmp_path: Path, fate: str
) -> None:
    def without_sam(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        if name == "sam":
            return Fate((), status=fate) if phase == "tune" else None
        return ordered(workload, name, phase, trial, seed)

    found = comparison_of(plant(tmp_path / "planted", plan(), without_sam))
    assert found.workloads[0].verdict.winner == "sgd"
    assert found.answer.endswith("No score for sam: not one configuration completed.")


def test_where_nothing_completed_the_answer_says_so(tmp_path: Path) -> None:
    def none(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        return Fate((), status="diverged") if phase == "tune" else None

    found = comparison_of(plant(tmp_path / "planted", plan(), none))
    assert found.answer == "There is no answer: no configuration of any optimizer completed."
    assert found.complete


def test_the_gap_in_the_answer_is_of_the_contender_that_takes_most_seeds(tmp_path: Path) -> None:
    def third_is_noisy(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        """adam is told from sgd; sam, whose mean is lower, is not."""
        fate = ordered(workload, name, phase, trial, seed)
        if fate is None or fate.test is None or name != "sam":
            return fate
        return replace(fate, test=0.67 + 40 * NOISE[seed])

    found = comparison_of(plant(tmp_path / "planted", plan(), third_is_noisy)).workloads[0]
    assert [s.optimizer for s in found.standings] == ["sgd", "adam", "sam"]
    to_adam, to_sam = found.differences[:2]
    assert (to_adam.told, to_sam.told) == (True, False)
    verdict = found.verdict
    assert verdict.contenders == ("sgd", "sam")
    assert "ahead of sam" in verdict.sentence
    assert "adam" not in verdict.sentence
    assert verdict.seeds_needed == to_sam.seeds_needed


def test_the_choice_is_made_on_val_and_never_on_test(tmp_path: Path) -> None:
    def misleading(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        if phase == "tune":
            return Fate((0.7 if trial == 1 else 0.5,))
        return Fate((0.7,), test=0.99 if trial != 1 else 0.6)

    found = comparison_of(plant(tmp_path / "planted", plan(("sgd",)), misleading))
    standing = found.workloads[0].standings[0]
    assert standing.chosen == 1
    assert standing.score is not None
    assert standing.score.mean == pytest.approx(0.6)


def test_a_diverged_configuration_stays_in_the_table_and_counts_in_the_search(
    found: Comparison,
) -> None:
    adam = next(s for s in found.workloads[0].standings if s.optimizer == "adam")
    assert len(adam.trials) == 4
    assert (adam.tuned.completed, adam.tuned.diverged) == (3, 1)
    assert adam.sensitivity is not None
    assert adam.sensitivity.share == 0.25
    chance = found.workloads[0].scoring.chance
    completed = [t.val for t in adam.trials if t.val is not None]
    assert adam.best_of[0].expected == pytest.approx((sum(completed) + chance) / 4)
    assert "1 of 4 configurations diverged" in adam.notes


def test_a_repeat_that_diverges_scores_what_guessing_does(tmp_path: Path) -> None:
    def once(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        if phase == "repeat" and name == "sgd" and seed == 2:
            return Fate((), status="diverged") if trial == 2 else None
        return ordered(workload, name, phase, trial, seed)

    found = comparison_of(plant(tmp_path / "planted", plan(), once))
    sgd = next(s for s in found.workloads[0].standings if s.optimizer == "sgd")
    assert sgd.rank == 3
    assert sgd.score is not None
    assert sgd.score.n == 3
    assert sgd.score.mean == pytest.approx((0.702 + 0.1 + 0.6985) / 3)
    assert sgd.repeated.diverged == 1
    reached = next(a for a in sgd.attempts if a.target == 0.6)
    assert (reached.reached, reached.n) == (2, 3)
    steps = reached.spent[0]
    assert steps.values == (20, None, 20)
    assert steps.restricted.mean == 20  # the miss counts the whole budget, not its own 0 steps


def test_a_repeat_that_failed_has_no_score_and_leaves_the_answer_open(tmp_path: Path) -> None:
    def once(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        fate = ordered(workload, name, phase, trial, seed)
        if (
            fate is None
            or phase == "tune"
            or name == "sam"
            or seed != (1 if name == "adam" else 2)
        ):
            return fate
        return Fate((), status="failed")

    found = comparison_of(plant(tmp_path / "planted", plan(), once))
    sgd = found.workloads[0].standings[0]
    assert sgd.optimizer == "sgd"
    assert sgd.score is not None
    assert sgd.score.n == 2
    assert sgd.score.mean == pytest.approx((0.702 + 0.6985) / 2)
    assert sgd.open == 1
    assert "1 of 3 repeats failed" in sgd.notes
    assert found.workloads[0].verdict.winner is None
    assert "Not all is done, 2 repeats failed: so far sgd reaches 70.0 %" in found.answer
    assert not found.complete


def test_a_missed_target_counts_as_long_as_a_repeat_takes_not_as_tuning_did(
    tmp_path: Path,
) -> None:
    def slow(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        fate = ordered(workload, name, phase, trial, seed)
        return Fate((0.1, 0.2, 0.3)) if name == "sgd" and phase == "tune" and trial == 0 else fate

    found = comparison_of(plant(tmp_path / "planted", plan(), slow))
    missed = found.workloads[0].standings[0].attempts[-1]
    assert missed.reached == 0
    assert missed.spent[1].unit == "seconds"
    assert missed.spent[1].restricted.mean == pytest.approx(0.4)  # tuning took 0.6


def test_where_every_repeat_diverges_a_miss_still_counts_the_whole_budget(tmp_path: Path) -> None:
    def never(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        if phase == "repeat" and name == "sgd":
            return Fate((), status="diverged") if trial == 2 else None
        return ordered(workload, name, phase, trial, seed)

    found = comparison_of(plant(tmp_path / "planted", plan(), never))
    sgd = next(s for s in found.workloads[0].standings if s.optimizer == "sgd")
    reached = next(a for a in sgd.attempts if a.target == 0.6)
    assert (reached.reached, reached.n) == (0, 3)
    assert reached.spent[0].restricted.mean == 20


def test_a_training_that_has_not_ended_is_missing_and_the_comparison_not_complete(
    tmp_path: Path,
) -> None:
    def cut(workload: str, name: str, phase: str, trial: int, seed: int) -> Fate | None:
        if name == "sam" and (phase == "repeat" or trial == 3):
            return None
        if name == "adam" and seed == 3:
            return Fate((0.3,), status="interrupted") if trial == 2 else None
        return ordered(workload, name, phase, trial, seed)

    found = comparison_of(plant(tmp_path / "planted", plan(), cut))
    assert not found.complete
    by_name = {s.optimizer: s for s in found.workloads[0].standings}
    assert found.workloads[0].verdict.winner is None
    assert "Not all is done, 2 trainings are open: so far" in found.answer
    assert by_name["sam"].chosen is None  # nothing is chosen before every configuration has ended
    assert by_name["sam"].score is None
    assert by_name["sam"].rank == 3
    assert by_name["sam"].tuned.missing == 1
    assert by_name["adam"].score is not None
    assert by_name["adam"].score.n == 2
    assert by_name["adam"].repeated.missing == 1


def test_a_missed_target_is_a_miss_for_all(found: Comparison) -> None:
    workload = found.workloads[0]
    assert workload.targets == (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    for standing in workload.standings:
        last = standing.attempts[-1]
        assert (last.reached, last.n, last.tuning_reached) == (0, 3, 0)
        assert last.spent[0].values == (None, None, None)
        assert last.spent[0].median is None


def test_sam_pays_two_gradients_a_step(found: Comparison) -> None:
    sam = next(s for s in found.workloads[0].standings if s.optimizer == "sam")
    assert sam.cost is not None
    assert (sam.cost.steps.mean, sam.cost.gradients.mean) == (20, 40)
    reached = next(a for a in sam.attempts if a.target == 0.6)
    assert [(s.unit, s.median) for s in reached.spent] == [
        ("steps", 20),
        ("seconds", pytest.approx(0.4)),
        ("gradients", 40),
    ]


def test_several_workloads_give_a_performance_profile(tmp_path: Path) -> None:
    many = plan(workloads=("mlp", "convnet"))
    found = comparison_of(plant(tmp_path / "planted", many, ordered))
    errors, gradients = found.profiles
    assert errors.workloads == ("mlp", "convnet")
    assert errors.lines[0].optimizer == "sgd"
    assert errors.lines[0].shares[0] == 1.0
    assert errors.lines[2].shares[0] == 0.0
    assert gradients.cost.startswith("gradients")
    assert found.answer.startswith("mlp: sgd")


def test_the_file_gives_back_what_was_written(found: Comparison) -> None:
    assert Comparison.from_json(found.to_json()) == found


def test_the_same_folder_gives_the_same_file(tmp_path: Path) -> None:
    folder = plant(tmp_path / "planted", plan(), ordered)
    assert comparison_of(folder).to_json() == comparison_of(folder).to_json()


@pytest.mark.parametrize(
    ("fact", "here", "there", "words"),
    [
        ("device_name", "a CPU", "another CPU", "another CPU, a CPU"),
        ("kernels", "avx512 fed", "none", "different kernels"),
        ("kernels", "avx512 fed", "avx512 ace", "avx512 ace, avx512 fed"),
        ("threads", 1, 2, "numbers of CPU threads"),
        ("precision", "fp32", "bf16", "different precisions"),
        ("data", IMAGES, {**IMAGES, "fingerprint": "fed"}, "the images changed"),
        ("versions", {"torch": "2.15.0"}, {"torch": "2.16.0"}, "torch changed"),
    ],
)
def test_different_circumstances_are_a_warning(
    tmp_path: Path, fact: str, here: Any, there: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, fact, here)
    folder = plant(tmp_path / "planted", plan(("sgd",)), ordered)
    monkeypatch.setitem(ENVIRONMENT, fact, there)
    elsewhere = plant(tmp_path / "other", plan(("sgd",)), ordered)
    moved = elsewhere / "tune-mlp-sgd-00-seed0"
    (folder / "tune-mlp-sgd-00-seed0" / "environment.json").write_text(
        (moved / "environment.json").read_text()
    )
    warnings = comparison_of(folder).circumstances.warnings
    assert len(warnings) == 1
    assert words in warnings[0]


def test_models_that_kernels_do_not_serve_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "kernels", None)
    folder = plant(tmp_path / "planted", plan(("sgd",)), ordered)
    assert comparison_of(folder).circumstances.kernels == ()


def test_a_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no comparison's folder"):
        comparison_of(tmp_path)


def test_equal_accuracies_are_decided_by_the_loss() -> None:
    trials = [Training(n, 0, {}, val=0.9, val_loss=loss) for n, loss in enumerate((0.5, 0.3, 0.3))]
    assert chosen(trials) == 1


def test_what_was_added_after_a_look_is_a_warning(tmp_path: Path) -> None:
    wanted = replace(plan(), looks=(2,), joined=("sam",))
    first, second = comparison_of(plant(tmp_path / "planted", wanted, ordered)).warnings
    assert "after a look at the results (2, then 3)" in first
    assert second.startswith("sam joined")


@pytest.mark.parametrize(("amount", "told"), [(0.4, False), (0.3, True)])
def test_a_budget_in_seconds_that_was_missed_is_noted(
    tmp_path: Path, amount: float, told: bool
) -> None:
    wanted = replace(plan(), budget=Budget(amount, "seconds"))
    found = comparison_of(plant(tmp_path / "planted", wanted, ordered))
    notes = found.workloads[0].standings[0].notes
    assert any("its repeats took" in note for note in notes) == told


def test_the_curve_and_the_cost_are_those_of_what_was_planted(found: Comparison) -> None:
    sgd = found.workloads[0].standings[0]
    assert [(at.step, at.val.n) for at in sgd.curve] == [(10, 3), (20, 3)]
    assert [at.val.mean for at in sgd.curve] == pytest.approx([0.35, 0.7])
    assert sgd.cost is not None
    assert sgd.cost.tuning_seconds == pytest.approx(1.6)
    assert sgd.cost.tuning_gradients == 80
