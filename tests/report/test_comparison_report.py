"""What a report says of a comparison: the comparison's own numbers, each where a reader looks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from planted_comparison import Fate, plan, plant
from test_numbers import cells

from fallline.compare.comparison import Comparison, comparison_of
from fallline.errors import RunError
from fallline.report.document import Document
from fallline.report.files import document_at
from fallline.report.methods import Methods
from fallline.report.tables import csv_tables


@pytest.fixture(scope="module")
def one_model(comparison: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same comparison as if it had been of the first model alone."""
    folder = tmp_path_factory.mktemp("one") / comparison.name
    shutil.copytree(comparison, folder, ignore=shutil.ignore_patterns("*convnet*", "checkpoints"))
    plan = json.loads((folder / "plan.json").read_text()) | {"workloads": ["mlp"]}
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


@pytest.fixture(scope="module")
def results(one_model: Path) -> Comparison:
    return comparison_of(one_model)


@pytest.fixture(scope="module")
def document(one_model: Path) -> Document:
    return document_at([one_model])


def test_the_answer_is_the_verdict_and_the_doubts_name_base_and_budget(
    document: Document, results: Comparison
) -> None:
    verdict = results.workloads[0].verdict.sentence
    assert verdict.startswith(document.answer.sentence.removesuffix("."))
    doubts = " ".join(document.answer.doubts)
    for part in ("Base neutral", "3 configurations", "3 fresh seeds", "3 epochs"):
        assert part in doubts


def test_over_two_models_the_headline_names_each_winner_once(comparison: Path) -> None:
    sentence = document_at([comparison]).answer.sentence
    won = {
        workload.verdict.winner or "nobody": workload.name
        for workload in comparison_of(comparison).workloads
    }
    assert sentence.count(" wins on ") == len(won)
    assert all(f"{winner} wins on" in sentence for winner in won)


def test_the_ranking_is_the_comparison_s(document: Document, results: Comparison) -> None:
    grid, standings = document.grids["ranking"], results.workloads[0].standings
    assert cells(grid, "optimizer") == [s.optimizer for s in standings]
    assert cells(grid, "accuracy on test") == [s.score.mean for s in standings if s.score]
    assert cells(grid, "chance best") == [s.chance_best for s in standings]
    assert cells(grid, "beats next") == [s.chance_beats_next for s in standings]


def test_every_pair_says_whether_it_is_told_from_noise(
    document: Document, results: Comparison
) -> None:
    pairs = results.workloads[0].differences
    assert len(pairs) == 3
    told = ["yes" if pair.told else "no" for pair in pairs]
    assert cells(document.grids["pairs"], "more than noise?") == told
    column = [c.title for c in document.grids["pairs"].columns].index("p, adjusted")
    for row, pair in zip(document.grids["pairs"].rows, pairs, strict=True):
        assert pair.adjusted_p is not None
        small = pair.adjusted_p < 0.001
        assert row[column].text == ("< 0.001" if small else f"{pair.adjusted_p:.3f}")
        assert row[column].key == pair.adjusted_p
    assert cells(document.grids["pairs"], "#seeds to tell it".removeprefix("#")) == [
        pair.seeds_needed for pair in pairs
    ]


def test_diverged_configurations_are_counted_and_missed_targets_shown(
    document: Document, results: Comparison
) -> None:
    tuning = document.grids["tuning"]
    assert sum(cells(tuning, "diverged")) == 1
    assert cells(tuning, "configurations") == [3, 3, 3]
    targets = document.grids["targets"]
    last = targets.columns[-1].title
    place = [column.title for column in targets.columns].index(last)
    assert [row[place].text for row in targets.rows] == ["missed"] * 9  # nobody reached the last
    assert targets.rows[0][place].remark == "0 of 3"


def test_spaces_base_and_gradients_are_told(document: Document) -> None:
    assert set(cells(document.grids["spaces"], "setting")) == {"lr", "weight_decay"}
    (methods,) = document.sections[-1].blocks
    assert isinstance(methods, Methods)
    told = {item.what: item.how[0] for item in methods.items}
    assert told["base"] == "neutral"
    assert "sam 2" in told["gradients"]
    assert "seeds 1, 2, 3" in told["repeats"]
    assert methods.command.startswith("fallline compare")


def test_a_reader_s_order_is_kept(document: Document) -> None:
    names = [section.name for section in document.sections]
    assert names == ["ranking", "curves", "tuning", "settings", "runs", "winner", "methods"]
    assert len(document.table.rows) == 3 * (3 + 3)


def test_every_configuration_is_a_line_that_leads_to_its_runs(document: Document) -> None:
    (parallel,) = document.parallels
    titles = [axis.title for axis in parallel.axes]
    assert set(titles[:-1]) == {"optimizer", "lr", "weight_decay"}
    assert titles[-1] == "accuracy on val, %"
    assert len(parallel.lines) == 3 * 3
    counts = sorted(len(line.folders) for line in parallel.lines)
    assert counts == [1] * 6 + [1 + 3] * 3  # a chosen one with its repeats
    folders = {folder for line in parallel.lines for folder in line.folders}
    assert folders == {row.folder for row in document.table.rows}


def planted_on_rates(
    workload: str, optimizer: str, phase: str, trial: int, seed: int
) -> Fate | None:
    """Sgd is better the higher its rate, adam alike at all; sam has failed below one of them."""
    if optimizer == "sam" and trial < 6:
        return Fate((), status="failed")
    level = {"sgd": 0.5 + trial / 50, "adam": 0.6 + (trial * 7 % 12) / 1000, "sam": 0.4}[optimizer]
    return Fate((level / 2, level), test=level if phase == "repeat" else None)


def test_each_optimizer_says_which_setting_mattered(tmp_path: Path) -> None:
    folder = plant(tmp_path / "planted", plan(configs=12), planted_on_rates)
    document = document_at([folder])
    weighed = {each.key: each for each in document.effects[""].importances}
    assert weighed["optim.name"].is_clear
    grid = document.grids["importance-by-optimizer"]
    assert cells(grid, "optimizer") == ["sgd", "adam", "sam"]
    assert cells(grid, "more than chance") == ["lr", "–", "lr"]
    assert "importance" in csv_tables(document)


def test_several_models_have_a_section_each_and_profiles_over_all(comparison: Path) -> None:
    document = document_at([comparison])
    names = [section.name for section in document.sections]
    winners = ["winner-mlp", "winner-convnet"]
    assert names == ["mlp", "convnet", "profiles", "runs", *winners, "methods"]
    figures = [figure.name for figure in document.figures]
    assert len(set(figures)) == len(figures)
    assert {"ranking-mlp", "ranking-convnet", "profile-0", "profile-1"} <= set(figures)
    assert {"confusion-mlp", "confusion-convnet"} <= set(figures)
    assert [parallel.name for parallel in document.parallels] == [
        "parallel-mlp",
        "parallel-convnet",
    ]
    assert {"classes-mlp", "confusion-convnet", "confusions-mlp"} <= set(csv_tables(document))
    assert len(document.answer.doubts) >= 3


def test_the_results_alone_make_a_page_without_the_runs(one_model: Path, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text(comparison_of(one_model).to_json())
    (tmp_path / "plan.json").write_bytes((one_model / "plan.json").read_bytes())
    whole, alone = document_at([one_model]), document_at([tmp_path])
    assert alone.answer == whole.answer
    assert alone.grids["ranking"] == whole.grids["ranking"]
    assert "runs" not in [section.name for section in alone.sections]


def test_a_broken_file_of_results_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text("{}")
    with pytest.raises(RunError, match=r"cannot read .*comparison\.json"):
        document_at([tmp_path])
