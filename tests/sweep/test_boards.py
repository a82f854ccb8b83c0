"""What a person sees of a sweep, and what a program reads."""

from __future__ import annotations

import io
import json
import random
import urllib.request
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from rich.console import Console
from scripted import End, Plot, Scripted, ended, failed, lost

from fallline.errors import RunError
from fallline.sweep.boards import JsonBoard, LinesBoard, QuietBoard
from fallline.sweep.coordinator import Coordinator, Ending, News, Over
from fallline.sweep.dashboard import start
from fallline.sweep.file import read
from fallline.sweep.leaderboard import Leaderboard, drawn
from fallline.sweep.meter import Meter
from fallline.sweep.results import Result, Trial
from fallline.sweep.scene import Scene, trainings_ended, trainings_left
from fallline.sweep.search import SweepSearch
from fallline.sweep.wording import settings, sparkline, summary

OpenSearch = Callable[..., SweepSearch]


@pytest.fixture
def scene(small: dict[str, Any], open_search: OpenSearch) -> Scene:
    """A sweep of six trials, not begun; one diverges."""
    search = open_search({**small, "run_cap": 6})
    file = search._file
    meter = Meter(file.extension.budget, {}, search._study.keep_spent)
    return Scene("sweep", search._control.out, file, search, meter, 2)


def plot(number: int, seed: int) -> Plot:
    return Plot([0.1, 0.3 + number / 100], ended("diverged" if number == 2 else "completed"))


def carried_out(scene: Scene, board: Any) -> Result:
    def audience(news: News) -> None:
        scene.meter(news)
        board(news)

    ending: Ending = Coordinator(scene.search, Scripted(plot, 2), audience).run()
    trials = scene.search.trials
    result = Result(scene.folder, "val/accuracy", "maximize", trials, ending.kind, ending.reason)
    board.finish(result)
    board.close()
    return result


def test_lines_say_what_is_searched_what_came_of_it_and_what_next(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    carried_out(scene, LinesBoard(scene))
    text = capsys.readouterr().out
    assert "learning_rate: 0.003 to 0.3, by logarithm" in text
    assert "2 trainings at a time" in text
    assert text.count("\ntrial ") == 6
    assert "every training has ended: 5 completed, 1 diverged" in text
    assert "best       trial 5    35.00%" in text
    assert f"fallline report {scene.folder} --open" in text
    assert f"fallline board {scene.folder}" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("end", "used_up", "words"),
    [
        (ended(), None, []),
        (lost(), None, ["the same command goes on from here, and tries the 3 again"]),
        (failed(), None, ["the same command goes on from here, and tries the 3 again"]),
        (ended(), "no time is left", ["with a larger budget in its file, the same command goes"]),
    ],
)
def test_a_summary_says_what_the_same_command_does_next(
    scene: Scene, end: End, used_up: str | None, words: list[str]
) -> None:
    backend = Scripted(lambda number, seed: Plot([0.5], end))
    ending = Coordinator(scene.search, backend, scene.meter, lambda: used_up).run()
    trials = scene.search.trials
    result = Result(scene.folder, "val/accuracy", "maximize", trials, ending.kind, ending.reason)
    told = [line for line in summary(scene, result) if line.startswith("next")]
    assert len(told) == len(words) + 2
    assert all(text in line for text, line in zip(words, told, strict=False))


def test_quiet_says_the_best_alone(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    result = carried_out(scene, QuietBoard(scene))
    assert result.best is not None
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("35.00%")
    assert line.endswith(str(result.best.path))


def test_json_is_one_object_per_line(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    carried_out(scene, JsonBoard(scene))
    news = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [n["event"] for n in news].count("evaluated") == 12
    assert {n["status"] for n in news if n["event"] == "ended"} == {"completed", "diverged"}
    assert news[-1]["event"] == "result"
    assert news[-1]["best"]["trial"] == 5


def test_the_leaderboard_shows_the_best_the_running_and_the_stopped(scene: Scene) -> None:
    seen = []

    def look(news: News) -> None:
        running = {"trial-0005-seed0": 5} if len(scene.search.trials) == 6 else {}
        out = io.StringIO()
        Console(file=out, width=110).print(drawn(scene, running, 40))
        seen.append(out.getvalue())

    Coordinator(scene.search, Scripted(plot), look).run()
    assert "of 6 configurations done" in seen[0]
    last = seen[-1]
    assert last.index("34.00%") < last.index("33.00%")
    assert "▁█ 35.00%" in last
    assert "2        diverged" in last
    assert all(len(line) <= 110 for line in last.splitlines())


@pytest.mark.parametrize("noise", [0.001, 0.1])
def test_the_trainings_left_are_never_fewer_than_come(
    small: dict[str, Any], open_search: OpenSearch, noise: float
) -> None:
    chance, seeds = random.Random(0), 5
    search = open_search({**small, "run_cap": 15, "fallline": {"seeds": seeds}})
    left, over = [], []

    def look(news: News) -> None:
        if isinstance(news, Over):
            left.append(trainings_left(search.trials, 15, seeds))
            over.append(trainings_ended(search.trials))

    backend = Scripted(lambda number, seed: Plot([number / 100 + chance.gauss(0, noise)]), 3)
    Coordinator(search, backend, look).run()
    total = over[-1]
    assert over == list(range(1, total + 1))
    assert 15 < total < 15 * seeds
    assert all(
        most is not None and most >= total - done for most, done in zip(left, over, strict=True)
    )
    assert left[0] == 14 + 5 * (seeds - 1)  # a third gets further seeds, at most all of them


def test_a_leaderboard_gives_the_terminal_back(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    carried_out(scene, Leaderboard(scene))
    assert "best       trial 5    35.00%" in capsys.readouterr().out


def test_a_curve_is_drawn_from_its_least_to_its_greatest() -> None:
    assert sparkline([0.0, 1.0, 0.5]) == "▁█▅"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([float("nan")]) == ""
    assert len(sparkline([float(i) for i in range(99)])) == 16


def test_optunas_dashboard_shows_the_study_on_this_machine_alone(scene: Scene) -> None:
    pytest.importorskip("optuna_dashboard")
    carried_out(scene, QuietBoard(scene))
    (scene.folder / "sweep.json").write_text(json.dumps({"storage": None}))
    server = start(scene.folder, 0)
    assert server.server_address[0] == "127.0.0.1"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{server.server_port}/api/studies"
        ) as answer:
            (study,) = json.load(answer)["study_summaries"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert study["study_name"] == "sweep"


def test_a_folder_without_a_sweep_has_no_dashboard(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no sweep's folder"):
        start(tmp_path, 0)


def test_what_a_trial_does_not_take_is_not_shown_as_chosen() -> None:
    parameters = {"optimizer": {"values": ["sgd", "adam"]}, "momentum": {"values": [0.5, 0.9]}}
    file = read({"method": "grid", "parameters": parameters, "fallline": {"data": "digits"}})
    shown = [settings(file, Trial(number, file.point(number))) for number in range(4)]
    assert sorted(shown) == [
        "momentum=0.5 optimizer=sgd",
        "momentum=0.9 optimizer=sgd",
        "optimizer=adam",
        "optimizer=adam",
    ]
