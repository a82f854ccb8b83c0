"""What the coordinator decides: which trainings, in which order, who is stopped, what fails."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from scripted import End, Plot, Scripted, ended, failed, lost

from fallline.records import RunFolder
from fallline.sweep.backend import Ended, Event, Reported
from fallline.sweep.coordinator import Coordinator, Ending, News, Note
from fallline.sweep.file import read
from fallline.sweep.hyperband import Hyperband, Race
from fallline.sweep.pruner import PRUNERS
from fallline.sweep.results import ranked
from fallline.sweep.search import SweepSearch

OpenSearch = Callable[..., SweepSearch]


def run(search: SweepSearch, backend: Scripted, **more: Any) -> tuple[Ending, list[News]]:
    heard: list[News] = []
    return Coordinator(search, backend, heard.append, **more).run(), heard


def steady(number: int, seed: int) -> Plot:
    return Plot([0.5 + number / 100])


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_random_configurations_are_one_list_whatever_the_number_of_workers(
    small: dict[str, Any], open_search: OpenSearch, slots: int
) -> None:
    search = open_search({**small, "run_cap": 12})
    ending, _ = run(search, Scripted(steady, slots))
    assert ending.kind == "finished"
    file = read(small)
    assert [trial.parameters for trial in search.trials] == [file.point(i) for i in range(12)]


def test_a_grid_is_run_through_once(small: dict[str, Any], open_search: OpenSearch) -> None:
    parameters = {**small["parameters"], "learning_rate": {"values": [0.1, 0.01, 0.001]}}
    search = open_search({**small, "method": "grid", "parameters": parameters, "run_cap": 99})
    run(search, Scripted(steady, 2))
    points = {str(trial.parameters) for trial in search.trials}
    assert len(search.trials) == len(points) == 6


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_search_stopped_anywhere_goes_on_with_the_list_of_an_undisturbed_one(
    small: dict[str, Any], open_search: OpenSearch, method: str
) -> None:
    values = {**small, "method": method, "run_cap": 14, "fallline": {"seed": 3}}
    script = lambda number, seed: Plot([number % 7 / 10])  # noqa: E731
    whole = open_search(values, name="whole")
    run(whole, Scripted(script))
    chance, sessions = random.Random(0), 0
    while True:
        search = open_search(values, name="stopped")
        if all(trial.status == "completed" for trial in search.trials[:14]) and search.trials[13:]:
            break
        pull_the_plug(search, Scripted(script), chance.randint(2, 12))
        sessions += 1
    assert sessions > 3
    assert [t.parameters for t in search.trials] == [t.parameters for t in whole.trials]
    assert [t.values for t in search.trials] == [t.values for t in whole.trials]


class Unplugged(Exception):
    pass


def pull_the_plug(search: SweepSearch, backend: Scripted, polls: int) -> None:
    """Runs a search until its power fails: nothing is saved, told or closed."""
    left = [polls]

    def used_up() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Unplugged

    with contextlib.suppress(Unplugged):
        run(search, backend, used_up=used_up)


def test_exactly_those_are_stopped_that_the_rule_stops(
    small: dict[str, Any], open_search: OpenSearch
) -> None:
    chance = random.Random(1)
    curves = {i: [chance.random() for _ in range(9)] for i in range(60)}
    stop = {"type": "hyperband", "min_iter": 2, "eta": 2}
    search = open_search({**small, "run_cap": 60, "early_terminate": stop})
    backend = Scripted(lambda number, seed: Plot(curves[number]))
    run(search, backend)
    race, expected = Race(Hyperband.upwards(2, 2), "maximize"), {}
    for number, curve in curves.items():
        for epoch, value in enumerate(curve, 1):
            race.add(number, value)
            if verdict := race.judge(number):
                expected[f"trial-{number:04d}-seed0"] = (str(verdict), epoch)
                break
    assert {key: reason for key, (reason, _) in expected.items()} == backend.pruned
    assert 10 < len(expected) < 60
    for trial in search.trials:
        key = f"trial-{trial.number:04d}-seed0"
        assert trial.status == ("pruned" if key in expected else "completed")
        assert len(trial.curve) == (expected[key][1] if key in expected else 9)


def test_a_pruner_of_optunas_is_obeyed(small: dict[str, Any], open_search: OpenSearch) -> None:
    values = {**small, "fallline": {"pruner": {"name": "threshold", "lower": 0.3}}}
    search = open_search(values)
    run(search, Scripted(lambda number, seed: Plot([0.5, 0.4 if number else 0.2, 0.5])))
    assert [trial.status for trial in search.trials] == ["pruned"] + ["completed"] * 3
    assert "threshold" in search.trials[0].reason
    assert search.trials[0].curve == ((1, 0.5), (2, 0.2))


NEEDED: dict[str, dict[str, Any]] = {
    "percentile": {"percentile": 50},
    "threshold": {"lower": 0.3},
    "patient": {"patience": 1},
}


@pytest.mark.parametrize("name", PRUNERS.names)
def test_every_pruner_judges_a_sweep(
    small: dict[str, Any], open_search: OpenSearch, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"name": name, **NEEDED.get(name, {})}
    search = open_search({**small, "fallline": {"pruner": chosen}})
    storage, written = search._study._storage, list[tuple[int, int]]()

    def write(trial: int, epoch: int, value: float) -> None:
        written.append((trial, epoch))
        to_storage(trial, epoch, value)

    to_storage = storage.set_trial_intermediate_value
    monkeypatch.setattr(storage, "set_trial_intermediate_value", write)
    ending, _ = run(search, Scripted(lambda number, seed: Plot([0.5, 0.4, 0.3, 0.2])))
    assert ending.kind == "finished"
    assert sorted(written) == sorted(set(written))  # once each
    assert len(written) == sum(len(trial.curve) for trial in search.trials)
    if name in ("patient", "threshold"):
        assert {trial.status for trial in search.trials} == {"pruned"}


def test_failures_are_told_apart(small: dict[str, Any], open_search: OpenSearch) -> None:
    ends = [ended(), ended("diverged"), failed("memory"), failed("user"), lost(), ended()]
    search = open_search({**small, "run_cap": 6})
    ending, heard = run(search, Scripted(lambda number, seed: Plot([0.5], ends[number])))
    assert ending.kind == "finished"
    states = [trial.status for trial in search.trials]
    assert states == ["completed", "diverged", "out of memory", "failed", "lost", "completed"]
    notes = [news.text for news in heard if isinstance(news, Note)]
    assert sum("Traceback of it" in note for note in notes) == 1
    assert sum("goes on" in note for note in notes) == 3  # the lost one had four lives


def test_a_task_whose_worker_died_runs_again(
    small: dict[str, Any], open_search: OpenSearch
) -> None:
    lives = iter([lost(), lost(), ended()])
    search = open_search({**small, "run_cap": 1})
    backend = Scripted(lambda number, seed: Plot([0.5], next(lives)))
    run(search, backend)
    assert [task.key for task in backend.submitted] == ["trial-0000-seed0"] * 3
    assert search.trials[0].status == "completed"
    assert search.trials[0].curve == ((1, 0.5),)  # what is reported again is not counted twice


class DiesOfItsAnswer(Scripted):
    """Its worker dies before the first prune it is told has become an outcome."""

    def answer(self, key: str, prune: str | None) -> None:
        super().answer(key, prune)
        if prune is not None and len(self.submitted) == 2:
            self._running[key] = [lost()(key)]


def test_who_was_to_be_stopped_when_its_worker_died_is_stopped_at_the_same_evaluation(
    small: dict[str, Any], open_search: OpenSearch
) -> None:
    stop = {"type": "hyperband", "min_iter": 2}
    search = open_search({**small, "run_cap": 2, "early_terminate": stop})
    backend = DiesOfItsAnswer(lambda number, seed: Plot([0.1 if number else 0.9] * 4))
    run(search, backend)
    assert [task.trial["trial"] for task in backend.submitted] == [0, 1, 1]
    assert search.trials[1].status == "pruned"
    assert search.trials[1].curve == ((1, 0.1), (2, 0.1))


@pytest.mark.parametrize("stop", [{}, {"early_terminate": {"type": "hyperband", "min_iter": 1}}])
def test_a_program_that_began_anew_is_judged_by_its_new_life(
    open_search: OpenSearch, stop: dict[str, Any]
) -> None:
    script = {
        "program": "theirs.py",
        "method": "grid",
        "metric": {"name": "val/accuracy", "goal": "maximize"},
        "parameters": {"lr": {"values": [0.1]}},
    }
    lives = iter([Plot([0.1, 0.2, 0.3], lost()), Plot([0.5, 0.6])])
    search = open_search({**script, **stop})
    run(search, Scripted(lambda number, seed: next(lives)))
    assert search.trials[0].curve == ((1, 0.5), (2, 0.6))
    assert search.trials[0].values == {0: 0.6}


def test_three_errors_in_a_row_end_the_sweep_and_show_one_traceback(
    small: dict[str, Any], open_search: OpenSearch
) -> None:
    search = open_search({**small, "run_cap": 20})
    plots = lambda number, seed: Plot([0.5], failed() if number != 1 else ended())  # noqa: E731
    ending, heard = run(search, Scripted(plots))
    assert ending.kind == "failures"
    assert len(search.trials) == 5  # 0 failed, 1 completed, 2, 3 and 4 failed
    assert sum(isinstance(news, Note) for news in heard) == 2


def ends(**by_status: End) -> Callable[[int, int], Plot]:
    """Plots of trials by name: `ends(t0=lost())`; others complete."""
    return lambda number, seed: Plot([0.5], by_status.get(f"t{number}", ended()))


@pytest.mark.parametrize("end", [lost(), failed()])
def test_a_machine_that_breaks_costs_no_trial(
    small: dict[str, Any], open_search: OpenSearch, end: End
) -> None:
    values = {**small, "run_cap": 12}
    for _ in range(2):
        search = open_search(values)
        ending, _ = run(search, Scripted(lambda number, seed: Plot([], end), slots=2))
        assert ending.kind == "failures"
        assert len(search.trials) < 12
    ending, _ = run(search := open_search(values), Scripted(steady, slots=2))
    assert ending.kind == "finished"
    assert [trial.status for trial in search.trials] == ["completed"] * 12


def test_what_failed_for_reasons_of_its_own_is_not_tried_again(
    small: dict[str, Any], open_search: OpenSearch
) -> None:
    search = open_search(small)
    run(search, Scripted(ends(t0=failed(), t1=lost(), t3=failed())))
    assert [trial.again for trial in search.trials] == [False, True, False, True]
    search = open_search(small)
    assert [t.status for t in search.trials] == ["failed", "lost", "completed", "failed"]
    run(search, backend := Scripted(ends(t3=failed())))
    assert [task.trial["trial"] for task in backend.submitted] == [1, 3]
    assert [t.status for t in search.trials] == ["failed", "completed", "completed", "failed"]


def test_what_always_fails_does_not_hold_up_a_sweep(
    small: dict[str, Any], open_search: OpenSearch
) -> None:
    values, order = {**small, "run_cap": 12}, []
    faults = {f"t{number}": failed() for number in range(2, 7)}
    for _ in range(2):
        ending, _ = run(search := open_search(values), backend := Scripted(ends(**faults)))
        order.append([task.trial["trial"] for task in backend.submitted])
    assert order == [[0, 1, 2, 3, 4], [5, 6, 7, 2, 8, 3, 9, 4, 10, 11]]
    assert ending.kind == "finished"
    assert not any(trial.again for trial in search.trials)


def test_a_diverged_trial_is_not_ranked(small: dict[str, Any], open_search: OpenSearch) -> None:
    search = open_search(small)
    ends = [ended(), ended(), ended("diverged"), ended()]
    run(search, Scripted(lambda number, seed: Plot([(0.7, 0.3, 0.9, 0.8)[number]], ends[number])))
    assert [t.number for t in ranked(search.trials, "maximize")] == [3, 0, 1]


def test_a_target_that_is_reached_ends_the_sweep(
    small: dict[str, Any], open_search: OpenSearch
) -> None:
    values = {**small, "run_cap": 50, "metric": {**small["metric"], "target": 0.535}}
    search = open_search(values)
    backend = Scripted(steady)
    ending, _ = run(search, backend)
    assert ending == Ending("enough", "trial 4 reached the target: val/accuracy 0.54")
    assert len(search.trials) == 5
    again, _ = run(open_search(values), untouched := Scripted(steady))
    assert again.kind == "enough"
    assert not untouched.submitted


def test_a_sweep_that_minimizes_ends_and_ranks_by_the_least(
    small: dict[str, Any], open_search: OpenSearch
) -> None:
    metric = {"name": "val/loss", "goal": "minimize", "target": 0.465}
    search = open_search({**small, "run_cap": 50, "metric": metric})
    ending, _ = run(search, Scripted(steady))
    assert ending == Ending("enough", "trial 4 reached the target: val/loss 0.46")
    assert [trial.number for trial in ranked(search.trials, "minimize")] == [4, 3, 2, 1, 0]


def test_a_signal_saves_and_says_which(small: dict[str, Any], open_search: OpenSearch) -> None:
    backend = Scripted(lambda number, seed: Plot([0.5] * 5))
    polls = iter(range(9))

    def used_up() -> None:
        if next(polls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    search = open_search(small)
    ending, _ = run(search, backend, used_up=used_up)
    assert (ending.kind, ending.signum, backend.closed) == ("signal", signal.SIGTERM, [True])
    assert [trial.status for trial in search.trials] == ["running"]
    with pytest.raises(SystemExit) as stopped:
        ending.raise_for_signal()
    assert stopped.value.code == 143


class LastWords(Scripted):
    """Trainings that report and end only while the backend closes, deaf to answers by then."""

    def poll(self, timeout: float) -> list[Event]:
        return [event for told in self._running.values() for event in told] if self.closed else []

    def close(self, *, save: bool) -> None:
        self.closed.append(save)

    def answer(self, key: str, prune: str | None) -> None:
        raise AssertionError("nobody listens")


@pytest.mark.parametrize(
    ("end", "status"), [(ended(), "completed"), (ended("interrupted"), "running")]
)
def test_what_a_training_reports_while_all_is_saved_is_kept(
    small: dict[str, Any], open_search: OpenSearch, end: End, status: str
) -> None:
    search = open_search(
        {**small, "run_cap": 1, "early_terminate": {"type": "hyperband", "min_iter": 9}}
    )
    budget = iter([None, "no time is left"])
    backend = LastWords(lambda number, seed: Plot([0.1, 0.2], end))
    run(search, backend, used_up=lambda: next(budget))
    (trial,) = search.trials
    assert (trial.status, trial.curve) == (status, ((1, 0.1), (2, 0.2)))
    assert trial.values == ({0: 0.2} if status == "completed" else {})
    assert len(backend.submitted) == 1


def test_contenders_get_more_seeds_and_the_others_do_not(
    small: dict[str, Any], open_search: OpenSearch
) -> None:
    chance = random.Random(2)
    noise = {(n, s): chance.gauss(0, 0.002) for n in range(12) for s in range(4)}

    def plot(number: int, seed: int) -> Plot:
        return Plot([0.5 + min(number, 9) / 50 + noise[number, seed]])

    values = {**small, "run_cap": 12, "fallline": {"seeds": 4}}
    search = open_search(values)
    run(search, Scripted(plot, 3))
    ran = {trial.number: sorted(trial.values) for trial in search.trials}
    assert all(ran[n] == [0] for n in range(8))  # not in the best third
    assert all(len(ran[n]) >= 3 for n in (9, 10, 11))  # equally good
    assert ran[8] in ([0, 1], [0, 1, 2])  # told apart from them by its seeds
    assert sum(map(len, ran.values())) < 24  # of 48
    best = ranked(search.trials, "maximize")[0]
    assert best.score is not None
    assert best.score.n == 4
    assert best.score.half is not None
    assert best.as_plain()["interval"] == (best.score.low, best.score.high)


@dataclass
class Kept(Scripted):
    """Leaves run folders, as trainings do, for the session that goes on."""

    out: Path = Path()

    def poll(self, timeout: float) -> list[Event]:
        events = super().poll(timeout)
        for event in events:
            folder = RunFolder(self.out / event.key)
            folder.path.mkdir(parents=True, exist_ok=True)
            if isinstance(event, Reported):
                folder.metrics.write_text(event.record.as_json() + "\n")
            elif isinstance(event, Ended):
                folder.write_outcome(event.outcome)
        return events


def test_a_stopped_race_goes_on_with_the_seeds_of_an_undisturbed_one(
    small: dict[str, Any], open_search: OpenSearch, tmp_path: Path
) -> None:
    def plot(number: int, seed: int) -> Plot:
        if (number, seed) == (0, 1):
            return Plot((), ended("diverged"))
        return Plot([0.9 - number / 100 + seed / 10_000])

    def session(name: str, stopped_after: int = 999) -> list[str]:
        backend = Kept(plot, out=tmp_path / name)

        def used_up() -> str | None:
            done = [task.key for task in backend.submitted if task.trial["seed"] > 0]
            return "stop" if len(done) - len(backend._running) >= stopped_after else None

        run(open_search(values, name=name), backend, used_up=used_up)
        return [task.key for task in backend.submitted]

    values = {**small, "run_cap": 9, "fallline": {"data": "synthetic", "seeds": 3}}
    whole = session("whole")
    assert [key for key in whole if "0000" in key] == ["trial-0000-seed0", "trial-0000-seed1"]
    stopped = session("stopped", stopped_after=1)
    assert [*stopped, *session("stopped")] == whole
    assert session("stopped") == []
