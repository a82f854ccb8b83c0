"""All optimizers on one model: from their trainings to the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fallline.compare.chances import Chances, chances_of
from fallline.compare.circumstances import Circumstances
from fallline.compare.difference import Difference, differences
from fallline.compare.estimate import Array, Estimate, estimate
from fallline.compare.evidence import Evidence, Training, chosen
from fallline.compare.plan import Budget, Contestant, Plan
from fallline.compare.standing import (
    Standing,
    best_of_trials,
    cost_of,
    counts_of,
    curve_of,
    edges_of_chosen,
    missed_budget,
    notes_of,
    sensitivity_of_trials,
)
from fallline.compare.target import attempt, targets_of
from fallline.compare.verdict import Verdict, verdict_of


@dataclass(frozen=True)
class Scoring:
    """What a ranking is of.

    Attributes:
        measure: accuracy on test, or on val where test was not touched.
        chance: what guessing scores, which is what a training counts that diverged.
        images: number of images in the scored split.
    """

    measure: Literal["test/accuracy", "val/accuracy"]
    chance: float
    images: int

    @property
    def split(self) -> str:
        """Where it was scored: test or val."""
        return self.measure.partition("/")[0]

    @property
    def resolution(self) -> float:
        """One image's share of an accuracy."""
        return 1 / max(1, self.images)

    def worth(self, training: Training) -> float:
        """The score of a training; nan where it has not ended, or failed."""
        if not training.has_result:
            return float("nan")
        value = training.test if self.split == "test" else training.val
        return self.chance if value is None else value


@dataclass(frozen=True)
class Workload:
    """All optimizers on one model.

    Attributes:
        name: the model's.
        scoring: what the ranking is of.
        verdict: who won.
        standings: the ranking, best first.
        differences: every pair of those that have scores, in the order of the ranking.
        targets: validation accuracies the way to which was timed, ascending.
    """

    name: str
    scoring: Scoring
    verdict: Verdict
    standings: tuple[Standing, ...]
    differences: tuple[Difference, ...]
    targets: tuple[float, ...]


@dataclass(frozen=True)
class _Entry:
    """One optimizer's trainings, before they are ranked; `scores` (seeds,) has nan for none."""

    contestant: Contestant
    trials: tuple[Training, ...]
    chosen: int | None
    repeats: tuple[Training, ...]
    scores: Array

    @property
    def mean(self) -> float:
        """Of its scores; -1, below every accuracy, without one."""
        there = self.scores[~np.isnan(self.scores)]
        return float(there.mean()) if len(there) else -1.0


@dataclass(frozen=True)
class _Ranking:
    """What stands between the optimizers."""

    scoring: Scoring
    budget: Budget
    names: tuple[str, ...]
    differences: tuple[Difference, ...]
    chances: Chances | None
    targets: tuple[float, ...]

    def is_contender(self, name: str) -> bool:
        """Whether it is the leader, or not told from it."""
        beaten = {d.worse for d in self.differences if d.better == self.names[0] and d.told}
        return name in self.names and name not in beaten


def workload_of(evidence: Evidence, name: str, circumstances: Circumstances) -> Workload:
    """The results on the model `name`."""
    entries = [_entry(evidence, name, each) for each in evidence.plan.contestants]
    scoring = _scoring(entries, circumstances)
    entries = [_with_scores(entry, scoring) for entry in entries]
    entries.sort(key=lambda entry: -entry.mean)
    ranking = _rank(entries, scoring, evidence.plan)
    standings = tuple(_standing(e, place, ranking) for place, e in enumerate(entries))
    return Workload(
        name=name,
        scoring=scoring,
        verdict=verdict_of(standings, ranking.differences, scoring.split),
        standings=standings,
        differences=ranking.differences,
        targets=ranking.targets,
    )


def _entry(evidence: Evidence, name: str, contestant: Contestant) -> _Entry:
    trials = evidence.trials(name, contestant)
    best = chosen(trials) if all(trial.has_ended for trial in trials) else None
    repeats = () if best is None else evidence.repeats(name, contestant, best)
    return _Entry(contestant, trials, best, repeats, np.empty(0))


def _scoring(entries: Sequence[_Entry], circumstances: Circumstances) -> Scoring:
    """On test, unless the repeats left it alone or there is none."""
    done = [t for entry in entries for t in entry.repeats if t.status == "completed"]
    on_test = any(t.test is not None for t in done) if done else circumstances.test_images > 0
    images = circumstances.test_images if on_test else circumstances.val_images
    measure: Literal["test/accuracy", "val/accuracy"]
    measure = "test/accuracy" if on_test else "val/accuracy"
    # Where no training came as far as its environment, nothing is known of the classes.
    chance = 1 / circumstances.classes if circumstances.classes else 0.0
    return Scoring(measure, chance, images)


def _with_scores(entry: _Entry, scoring: Scoring) -> _Entry:
    scores = np.array([scoring.worth(training) for training in entry.repeats])
    return replace(entry, scores=scores)


def _rank(entries: Sequence[_Entry], scoring: Scoring, plan: Plan) -> _Ranking:
    scored = [entry for entry in entries if entry.mean >= 0]
    names = tuple(entry.contestant.optimizer for entry in scored)
    scores = np.array([entry.scores for entry in scored])
    trainings = [t for entry in entries for t in (*entry.trials, *entry.repeats)]
    resolution = scoring.resolution
    return _Ranking(
        scoring=scoring,
        budget=plan.budget,
        names=names,
        differences=differences(names, scores, resolution=resolution) if scored else (),
        chances=chances_of(scores, resolution=resolution) if scored else None,
        targets=plan.targets or targets_of(trainings, scoring.chance),
    )


def _standing(entry: _Entry, place: int, ranking: _Ranking) -> Standing:
    contestant, trials, repeats = entry.contestant, entry.trials, entry.repeats
    best = ranking.chances.best if ranking.chances else ()
    beats = ranking.chances.beats_next if ranking.chances else ()
    tuned, repeated = counts_of(trials), counts_of(repeats)
    edges, cost = edges_of_chosen(contestant, entry.chosen), cost_of(trials, repeats)
    return Standing(
        optimizer=contestant.optimizer,
        rank=place + 1,
        score=_estimate(entry.scores, ranking.scoring.resolution),
        val=_estimate_val(repeats, ranking.scoring.chance),
        chance_best=best[place] if place < len(best) else None,
        chance_beats_next=beats[place] if place < len(beats) else None,
        contender=ranking.is_contender(contestant.optimizer),
        chosen=entry.chosen,
        parameters={} if entry.chosen is None else contestant.configurations[entry.chosen],
        trials=trials,
        repeats=repeats,
        tuned=tuned,
        repeated=repeated,
        curve=curve_of(repeats),
        best_of=best_of_trials(trials, ranking.scoring.chance),
        sensitivity=sensitivity_of_trials(trials),
        edges=edges,
        attempts=tuple(attempt(target, trials, repeats) for target in ranking.targets),
        cost=cost,
        notes=(
            *notes_of(contestant, edges, tuned, repeated),
            *missed_budget(cost, ranking.budget),
        ),
    )


def _estimate(scores: Array, resolution: float) -> Estimate | None:
    there = scores[~np.isnan(scores)]
    return estimate(there.tolist(), resolution=resolution) if len(there) else None


def _estimate_val(repeats: Sequence[Training], chance: float) -> Estimate | None:
    told = [t for t in repeats if t.has_result]
    return estimate([chance if t.val is None else t.val for t in told]) if told else None
