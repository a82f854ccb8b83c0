"""What a report says, as data: asserted before anything is drawn."""

from __future__ import annotations

import base64
import io
import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fallline.data import load
from fallline.errors import RunError
from fallline.predictions import Predictions
from fallline.records import Record
from fallline.report import wording
from fallline.report.answer import Answer, answer_of
from fallline.report.configuration import ranking, varied_settings
from fallline.report.document import Document
from fallline.report.effect_figures import effect_figures
from fallline.report.effects import Effects, effects_of
from fallline.report.estimate import lead, over_images, over_seeds
from fallline.report.files import document_at
from fallline.report.importance import importances
from fallline.report.methods import Methods
from fallline.report.metric import Metric
from fallline.report.ranking_figures import ranking_figure, search_figure
from fallline.report.run import Run
from fallline.report.run import Trial as RunTrial
from fallline.report.scale import Scale
from fallline.report.sources import Source, read_source
from fallline.report.standing import standings
from fallline.report.table import Grid
from fallline.report.tables import csv_tables
from fallline.report.tried import Tried, of_configuration
from fallline.sweep.results import Trial, ranked

ACCURACY = Metric()


def read(*paths: Path) -> Source:
    return read_source(paths, lambda what, done, total: None)


def report(*paths: Path) -> Document:
    return document_at(paths)


def cells(grid: Grid, title: str) -> list[Any]:
    """A column of a table."""
    place = [column.title for column in grid.columns].index(title)
    return [row[place].key for row in grid.rows]


def copy(run: Path, target: Path) -> Path:
    shutil.copytree(run, target, ignore=shutil.ignore_patterns("checkpoints", ".lock"))
    return target


def rewrite(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_one_run_is_answered_with_its_interval_and_what_is_not_known(digits_run: Path) -> None:
    answer = report(digits_run).answer
    right = json.loads((digits_run / "outcome.json").read_text())["test_accuracy"]
    assert f"gets {100 * right:.1f}" in answer.sentence
    assert "of 360 test images of digits right" in answer.sentence
    assert "95 % interval" in answer.doubts[0]
    assert "another seed" in answer.doubts[0]


def test_a_run_that_validated_on_test_is_told_so(digits_run: Path, tmp_path: Path) -> None:
    run = copy(digits_run, tmp_path / "speed")
    config = json.loads((run / "config.json").read_text())
    rewrite(run / "config.json", data=config["data"] | {"validate_on": "test"})
    assert any("validated on the test split" in doubt for doubt in report(run).answer.doubts)


def test_seeds_of_one_configuration_stand_together_and_diverged_ones_last(sweep: Path) -> None:
    source = read(sweep)
    ranked = ranking(source.runs, source.metric)
    assert [len(c.runs) for c in ranked] == [2, 2, 2, 2, 2, 2, 1, 1]
    assert [c.sound for c in ranked] == [True] * 6 + [False] * 2
    assert ranked[-1].stopped == ("1 diverged",)
    values = [c.value.value for c in ranked if c.value]
    assert values[:6] == sorted(values[:6], reverse=True)
    best = ranked[0]
    assert best.value is not None
    assert best.value.value == pytest.approx(np.mean([ACCURACY.of(run) for run in best.runs]))
    assert varied_settings(source.runs) == ("optim.name", "optim.lr", "optim.weight_decay")


def test_a_sweep_is_answered_with_the_winner_its_rival_and_every_doubt(sweep: Path) -> None:
    document = report(sweep)
    assert document.answer.sentence.startswith("The best of 8 configurations reaches")
    doubts = " ".join(document.answer.doubts)
    for part in ("over 2 seeds", "the next", "flatters it; test was not touched", "1 diverged"):
        assert part in doubts
    verdicts = cells(document.grids["ranking"], "more than noise?")
    assert verdicts[0] == "best"
    assert set(verdicts[-2:]) == {"1 pruned", "1 diverged"}
    (methods,) = document.sections[-1].blocks
    assert isinstance(methods, Methods)
    assert methods.command == "fallline sweep digits.yaml --data digits"
    assert len(document.table.rows) == 14


def test_several_runs_that_differ_in_settings_are_ranked_by_what_differs(
    digits_run: Path, sweep: Path, tmp_path: Path
) -> None:
    for name, lr in (("a", 0.1), ("b", 0.2)):
        run = copy(digits_run, tmp_path / name)
        config = json.loads((run / "config.json").read_text())
        rewrite(run / "config.json", optim=config["optim"] | {"lr": lr})
    document = report(tmp_path)
    assert document.subject == "Several runs"
    assert set(cells(document.grids["ranking"], "configuration")) == {"lr 0.1", "lr 0.2"}
    assert len(report(digits_run, sweep).table.rows) == 15


def test_a_folder_without_runs_is_an_error_that_names_where_they_are(
    sweep: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="did you mean"):
        read(sweep.parent)
    with pytest.raises(RunError, match="does not exist"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("broken", ["config.json", "metrics.jsonl", "outcome.json"])
def test_a_broken_run_stays_in_the_table_with_the_reason(
    digits_run: Path, tmp_path: Path, broken: str
) -> None:
    copy(digits_run, tmp_path / "whole")
    (copy(digits_run, tmp_path / "broken") / broken).write_bytes(b"\xff\xfe{[")
    rows = {row.name: row for row in report(tmp_path).table.rows}
    assert rows["whole"].state == "completed"
    assert rows["broken"].state == "unreadable"
    assert rows["broken"].reason


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("trial.json", "[]", "no mapping"),
        ("environment.json", '{"data": null}', "no mapping"),
        ("environment.json", '{"data": {"shape": [3, 8, 8]}}', "a part only"),
        ("environment.json", '{"versions": "1.0"}', "versions is no dict"),
        ("outcome.json", '{"status": "completed", "train_seconds": "long"}', "is no number"),
        ("outcome.json", '{"status": "splendid"}', "no status 'splendid'"),
        ("config.json", "[" * 100_000, "no JSON"),
        ("metrics.jsonl", "[" * 100_000 + "\n{}\n", "line 1"),
    ],
)
def test_a_file_of_another_shape_makes_its_run_unreadable(
    digits_run: Path, tmp_path: Path, file: str, text: str, said: str
) -> None:
    copy(digits_run, tmp_path / "whole")
    (copy(digits_run, tmp_path / "broken") / file).write_text(text)
    rows = {row.name: row for row in report(tmp_path).table.rows}
    assert (rows["whole"].state, rows["broken"].state) == ("completed", "unreadable")
    assert said in rows["broken"].reason


@pytest.mark.parametrize(
    ("name", "value"),
    [("fingerprint", ["a"]), ("shape", [3, 8]), ("val_images", "many"), ("classes", None)],
)
def test_what_is_told_of_images_is_what_runs_tell(
    digits_run: Path, tmp_path: Path, name: str, value: object
) -> None:
    file = copy(digits_run, tmp_path / "broken") / "environment.json"
    rewrite(file, data={**json.loads(file.read_text())["data"], name: value})
    copy(digits_run, tmp_path / "whole")
    rows = {row.name: row for row in report(tmp_path).table.rows}
    assert (rows["whole"].state, rows["broken"].state) == ("completed", "unreadable")
    assert f"data.{name}" in rows["broken"].reason


def test_a_run_cut_off_by_a_kill_is_unfinished(digits_run: Path, tmp_path: Path) -> None:
    run = copy(digits_run, tmp_path / "killed")
    (run / "outcome.json").unlink()
    document = report(run)
    assert document.table.rows[0].state == "unfinished"
    assert "when it was unfinished" in document.answer.sentence


def test_the_mistakes_are_the_images_the_run_was_wrong_on(digits_run: Path) -> None:
    winner = report(digits_run).winners[""]
    answers = Predictions.read(digits_run / "predictions.npz")
    assert winner.counts is not None
    assert winner.counts.sum() == len(answers.labels)
    images = load("digits").train.images
    assert (
        len(winner.mistakes.shown) == min(24, int((answers.labels != answers.predicted).sum())) > 0
    )
    for at, mistake in zip(answers.worst(), winner.mistakes.shown, strict=True):
        shown = Image.open(io.BytesIO(base64.b64decode(mistake.picture.partition(",")[2])))
        assert np.array_equal(np.asarray(shown), images[answers.rows[at]][..., 0])
        assert mistake.true == str(answers.labels[at])
        assert mistake.predicted == str(answers.predicted[at])
    losses = [mistake.loss for mistake in winner.mistakes.shown]
    assert losses == sorted(losses, reverse=True)


def test_a_run_without_readable_answers_has_no_winner_section(
    digits_run: Path, tmp_path: Path
) -> None:
    run = copy(digits_run, tmp_path / "run")
    (run / "mistakes.png").write_bytes(b"no picture")
    winner = report(run).winners[""]
    assert {mistake.picture for mistake in winner.mistakes.shown} == {""}
    answers = Predictions.read(run / "predictions.npz")
    replace(answers, labels=answers.labels - 3).write(run / "predictions.npz")
    assert "winner" not in [section.name for section in report(run).sections]
    replace(answers, predicted=answers.predicted[1:]).write(run / "predictions.npz")
    assert "winner" not in [section.name for section in report(run).sections]
    (run / "predictions.npz").write_bytes(b"PK")
    assert "winner" not in [section.name for section in report(run).sections]


def test_intervals_are_students_and_wilsons() -> None:
    three = over_seeds([1.0, 2.0, 3.0])
    assert (three.value, three.n, three.of) == (2.0, 3, "seeds")
    assert three.half == pytest.approx(2.4841, abs=1e-4)
    few = over_images(1.0, 10)  # Wilson's lower end for 10 of 10
    assert few.low == pytest.approx(0.7225, abs=1e-4)
    assert over_seeds([0.5]).half is None
    assert wording.interval(ACCURACY, over_seeds([0.9, 0.99])) == f"37.3 to 100.0{wording.THIN}%"


def test_a_difference_of_shared_seeds_is_taken_seed_by_seed() -> None:
    base = [0.1, 0.5, 0.9]
    ahead = [value + 0.01 for value in base]
    paired = lead(dict(enumerate(ahead)), dict(enumerate(base)))
    assert paired is not None
    assert paired.low is not None
    assert paired.low > 0
    apart = lead(dict(enumerate(ahead)), dict(enumerate(base, 10)))
    assert apart is not None
    assert apart.low is None
    assert paired.value == pytest.approx(apart.value)


def seeded(
    number: int, scores: Sequence[float], *, folder: str = "s", broken: Sequence[int] = ()
) -> list[Run]:
    """A sweep's trial, by its score on each seed; the broken ones were interrupted."""
    return [
        Run(
            Path(f"{folder}/trial-{number}-seed{seed}"),
            "interrupted" if seed in broken else "completed",
            "",
            {"seed": seed, "optim": {"lr": number}},
            {},
            None,
            (Record("epoch", 1, 1, 1.0, {"val/accuracy": score}),),
            RunTrial("s", number, seed, {"optim.lr": number}),
        )
        for seed, score in enumerate(scores)
    ]


def test_the_report_of_a_sweep_and_its_result_name_the_same_winner() -> None:
    scores = {0: (0.820, 0.800, 0.801), 1: (0.816,), 2: (0.818, 0.795), 3: (0.1,)}
    runs = [run for number, values in scores.items() for run in seeded(number, values)]
    trials = tuple(
        Trial(number, {}, "completed", values=dict(enumerate(values)))
        for number, values in scores.items()
    )
    numbers = [c.runs[0].trial.number for c in ranking(runs, ACCURACY) if c.runs[0].trial]
    assert numbers == [trial.number for trial in ranked(trials, "maximize")] == [0, 2, 1, 3]
    _, second, third, _ = standings(ranking(runs, ACCURACY), ACCURACY)
    assert second.behind is not None
    assert third.behind is not None
    assert third.behind.value == pytest.approx(0.004)  # on the seed they have in common
    assert third.verdict == "no two seeds in common"


def test_a_seed_that_was_interrupted_costs_its_trial_no_place() -> None:
    scores = {0: (0.82, 0.80), 1: (0.84, 0.3), 2: (0.81, 0.79), 3: (0.5,), 4: (0.6,)}
    broken = {1: (1,)}
    runs = [
        run
        for number, values in scores.items()
        for run in seeded(number, values, broken=broken.get(number, ()))
    ]
    values = {
        n: {s: v for s, v in enumerate(vs) if s not in broken.get(n, ())}
        for n, vs in scores.items()
    }
    trials = tuple(Trial(n, {}, "completed", values=of_trial) for n, of_trial in values.items())
    order = ranking(runs, ACCURACY)
    numbers = [c.runs[0].trial.number for c in order if c.runs[0].trial]
    assert numbers == [trial.number for trial in ranked(trials, "maximize")] == [1, 0, 2, 4, 3]
    assert order[0].value is not None
    assert (order[0].value.value, order[0].value.n) == (0.84, 1)


def test_a_trial_that_diverged_with_any_seed_does_not_win() -> None:
    runs = [*seeded(0, (0.9, 0.9)), *seeded(1, (0.8, 0.8)), *seeded(2, (0.7,))]
    runs[1] = replace(runs[1], state="diverged")
    order = ranking(runs, ACCURACY)
    assert [c.runs[0].trial.number for c in order if c.runs[0].trial] == [1, 2, 0]
    assert not order[-1].sound


def test_the_same_seed_once_more_is_no_other_seed(digits_run: Path, tmp_path: Path) -> None:
    for name in ("one", "again"):
        copy(digits_run, tmp_path / name)
    (alone,) = ranking(read(tmp_path).runs, ACCURACY)
    assert (len(alone.runs), alone.seeds) == (2, 1)
    assert alone.value is not None
    assert alone.value.of == "images"
    assert report(tmp_path).answer.sentence.endswith(" accuracy on val.")


def test_scores_on_different_images_are_no_contest(digits_run: Path, tmp_path: Path) -> None:
    run = copy(digits_run, tmp_path / "other")
    copy(digits_run, tmp_path / "one")
    assert not any("different images" in doubt for doubt in report(tmp_path).answer.doubts)
    around = json.loads((run / "environment.json").read_text())
    rewrite(run / "environment.json", data=around["data"] | {"fingerprint": "another"})
    assert any("different images" in doubt for doubt in report(tmp_path).answer.doubts)


def test_trials_of_two_sweeps_are_not_taken_for_seeds_of_one() -> None:
    runs = [*seeded(0, (0.9, 0.8), folder="one"), *seeded(0, (0.1, 0.2), folder="two")]
    first, second = ranking(runs, ACCURACY)
    assert (first.title, second.title) == ("one/trial-0", "two/trial-0")
    assert (len(first.runs), len(second.runs)) == (2, 2)


def test_what_was_drawn_and_not_taken_is_no_setting_of_a_trial() -> None:
    runs = [*seeded(0, (0.9,)), *seeded(1, (0.8,)), *seeded(2, (0.7,))]
    drawn = [
        {"optim.lr": n, "optim.momentum": n / 10, "data.augment": {"flip": n}} for n in range(3)
    ]
    taken = [{}, {"momentum": 0.1}, {"momentum": 0.2}]
    runs = [
        replace(
            run,
            trial=replace(run.trial, parameters=drawn[n]),
            config={"optim": {"lr": n, **taken[n]}, "data": {"augment": {"flip": n, "shift": 0}}},
        )
        for n, run in enumerate(runs)
        if run.trial
    ]
    assert set(varied_settings(runs)) == {"optim.lr", "optim.momentum", "data.augment"}
    best, second, *_ = ranking(runs, ACCURACY)
    assert (best.settings["optim.momentum"], second.settings["optim.momentum"]) == (None, 0.1)
    assert best.settings["data.augment"] == {"flip": 0}


def test_among_equals_with_five_seeds_hardly_any_is_called_behind() -> None:
    draw = np.random.default_rng(20261125)

    def any_behind(level: float) -> bool:
        scores = draw.normal(0.8, 0.003, (20, 5))
        scores[1:] -= level
        runs = [run for n, row in enumerate(scores.tolist()) for run in seeded(n, row)]
        return any(s.is_behind for s in standings(ranking(runs, ACCURACY), ACCURACY))

    assert sum(any_behind(0.0) for _ in range(60)) <= 6
    assert any_behind(0.3)


def test_a_configuration_that_diverged_has_no_value_for_its_settings() -> None:
    runs = [*seeded(0, (0.9,)), *seeded(1, (0.8,))]
    runs[0] = replace(runs[0], state="diverged")
    values = {t.title: t.value for t in map(of_configuration, ranking(runs, ACCURACY))}
    assert sorted(values.values(), key=str) == [0.8, None]


def test_the_best_so_far_begins_with_the_first_that_completed() -> None:
    scores = {0: 0.9, 1: 0.5, 2: 0.7, 3: 0.6}
    runs = [run for number, score in scores.items() for run in seeded(number, (score,))]
    runs = [replace(r, environment={"started": str(n)}) for n, r in enumerate(runs)]
    runs[0] = replace(runs[0], state="interrupted")
    figure = search_figure(ranking(runs, ACCURACY), ACCURACY, 300)
    _, line = figure.views[""]["data"]
    assert line["y"] == [None, 50.0, 70.0, 70.0]


def test_one_that_is_ahead_on_the_seeds_in_common_is_said_to_be() -> None:
    runs = [*seeded(0, (0.70, 0.701, 0.9)), *seeded(1, (0.71, 0.7112))]
    runs = [replace(run, trial=None) for run in runs]
    source = Source("runs", "r", (), tuple(runs), ACCURACY, {})
    doubts = " ".join(answer_of(source, ranking(runs, ACCURACY)).doubts)
    assert "On the seeds that both have, the next, lr 1, is 1.01 points ahead" in doubts


def answer(runs: list[Run]) -> Answer:
    return answer_of(Source("runs", "r", (), tuple(runs), ACCURACY, {}), ranking(runs, ACCURACY))


def test_seeds_that_were_interrupted_are_none_of_those_in_a_mean() -> None:
    runs = seeded(0, (0.9, 0.5, 0.4), broken=(1, 2))
    assert answer(runs).sentence.endswith("reaches 90.0\u202f% accuracy on val.")
    assert [(fact.value, fact.what) for fact in answer(runs).facts[1:4]] == [
        ("1", "configuration"),
        ("2", "runs interrupted"),
        ("1", "run completed"),
    ]


def test_where_all_diverged_there_is_no_winner() -> None:
    runs = [replace(run, state="diverged") for n in range(3) for run in seeded(n, (0.7,))]
    assert (
        answer(runs).sentence == "No configuration completed all its runs, so there is no winner."
    )
    assert answer(runs).facts[0].what == "configurations"


def test_what_was_validated_on_test_has_touched_it() -> None:
    runs = [run for n in range(2) for run in seeded(n, (0.7 + n / 10,))]
    assert any("test was not touched" in doubt for doubt in answer(runs).doubts)
    runs = [replace(run, config={**run.config, "data": {"validate_on": "test"}}) for run in runs]
    assert not any("test was not touched" in doubt for doubt in answer(runs).doubts)


def test_a_run_whose_settings_are_lost_is_called_by_its_folder() -> None:
    (run,) = seeded(0, (0.7,))
    assert answer([replace(run, config={}, trial=None)]).sentence.startswith("trial-0-seed0 gets")


def test_what_averaged_views_reach_stands_beside_what_one_view_does() -> None:
    (run,) = seeded(0, (0.9203,))
    scored = Record("epoch", 1, 1, 1.0, {"val/accuracy": 0.9203, "val/accuracy_tta": 0.9308})
    facts = answer([replace(run, epochs=(scored,))]).facts
    assert [(fact.value, fact.what) for fact in facts[:2]] == [
        ("92.03\u202f%", "accuracy on val"),
        ("93.08\u202f%", "accuracy with views averaged on val"),
    ]


def test_points_of_equal_labels_have_rows_of_their_own() -> None:
    runs = [run for n in range(2) for run in seeded(0, (0.7 + n / 10,), folder=f"{n}/" + "x" * 99)]
    figure = ranking_figure(ranking(runs, ACCURACY), ACCURACY)
    (points,) = figure.views[""]["data"]
    axis = figure.views[""]["layout"]["yaxis"]
    assert points["y"] == axis["tickvals"] == [0, 1]
    assert all(text.endswith("/trial-0") for text in axis["ticktext"])


def test_a_caption_tells_of_every_kind_of_bar() -> None:
    runs = [*seeded(0, (0.9, 0.8)), *seeded(1, (0.7,))]
    caption = ranking_figure(ranking(runs, ACCURACY), ACCURACY).caption
    assert "Means over seeds" in caption
    assert "single trainings" in caption


def _effects(found: list[Tried], metric: Metric) -> Effects:
    effects = effects_of(found, ["optim.lr"], metric)
    assert effects is not None
    return effects


@pytest.mark.parametrize(("goal", "worst"), [("maximize", 0.1), ("minimize", 2.0)])
def test_what_has_no_value_is_drawn_where_the_worst_is(goal: Any, worst: float) -> None:
    loss = Metric("val/loss", goal)
    found = [
        Tried(str(n), "sgd", {"optim.lr": 10.0**-n}, value, value is not None, ())
        for n, value in enumerate((0.1, 2.0, 1.0, 0.5, None))
    ]
    drawn = [f for f in effect_figures(_effects(found, loss), loss) if "lr" in f.title]
    _, crosses = drawn[0].views[""]["data"]
    assert crosses["y"] == [worst]


def tried(count: int, effect: float) -> list[Tried]:
    """Rates and decays drawn at random; the rate shifts the score by `effect` a decade."""
    draw = random.Random(count)
    found = []
    for number in range(count):
        settings = {"optim.lr": 10 ** draw.uniform(-4, 0), "decay": draw.uniform(0, 1)}
        score = 0.5 + effect * np.log10(settings["optim.lr"]) + draw.gauss(0, 0.05)
        found.append(Tried(str(number), "sgd", settings, float(score), True, ()))
    return sorted(found, key=lambda one: -(one.value or 0))


def test_a_planted_effect_is_found_and_none_where_there_is_none() -> None:
    keys = ("decay", "optim.lr")
    planted = importances(tried(60, effect=0.1), keys, ACCURACY)
    assert planted[0].key == "optim.lr"
    assert planted[0].share > 0.5
    assert planted[0].is_clear
    null = [importances(tried(n, effect=0), keys, ACCURACY) for n in range(40, 90)]
    clear = sum(importance.is_clear for told in null for importance in told)
    assert clear / (2 * len(null)) < 0.12  # 0.05 is nominal


def test_a_best_value_on_the_edge_of_what_was_tried_is_flagged() -> None:
    effects = effects_of(tried(40, effect=1.0), ("optim.lr", "decay"), ACCURACY)
    assert effects is not None
    assert len(effects.edges) == 1
    assert effects.edges[0].startswith("The best lr")
    assert "largest that was tried" in effects.edges[0]


@pytest.mark.parametrize(
    ("values", "kind", "labels"),
    [
        ([1e-4, 1e-3, 0.02, 0.5, 1.0], "log", ["0.0001", "0.001", "0.01", "0.1", "1"]),
        ([0.0, 0.1, 0.25, 0.4, 0.5], "linear", ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]),
        (["sgd", "adam", None], "category", ["adam", "sgd"]),
        ([0.0005, 0, 0.0005], "category", ["0", "0.0005"]),
        ([True, False], "category", ["false", "true"]),
    ],
)
def test_a_scale_suits_its_values(values: list[Any], kind: str, labels: list[str]) -> None:
    scale = Scale.of(values)
    assert scale.kind == kind
    assert [label for _, label in scale.ticks] == labels
    places = [scale.place(value) for value in values]
    assert all(place is None or 0 <= place <= 1 for place in places)


def test_no_cell_of_a_csv_table_is_read_as_a_formula(digits_run: Path, tmp_path: Path) -> None:
    run = copy(digits_run, tmp_path / "run")
    around = json.loads((run / "environment.json").read_text())
    names = ["=HYPERLINK(1)", "+1", "-1", "@x", *"456789"]
    rewrite(run / "environment.json", data=around["data"] | {"classes": names})
    tables = csv_tables(report(run))
    assert "'=HYPERLINK(1)" in tables["classes"]
    assert "\n=" not in tables["confusion"]
    assert set(tables) == {"runs", "classes", "confusion", "confusions"}
