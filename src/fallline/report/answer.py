"""The answer in one sentence, with its uncertainty, and what stands against it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from fallline.report import wording
from fallline.report.configuration import Configuration
from fallline.report.estimate import Estimate, over_images
from fallline.report.metric import Metric
from fallline.report.run import Run
from fallline.report.sources import Source
from fallline.report.standing import standings

LONG: Final = 110  # characters


@dataclass(frozen=True)
class Fact:
    """A number that stands out, with what it is."""

    value: str
    what: str


@dataclass(frozen=True)
class Answer:
    """What a reader came for.

    `sentence` is the answer; `doubts` are sentences on how far it may be wrong.
    """

    sentence: str
    doubts: tuple[str, ...]
    facts: tuple[Fact, ...]

    @property
    def is_long(self) -> bool:
        """Whether the sentence needs smaller letters."""
        return len(self.sentence) > LONG


def answer_of(
    source: Source, ranked: tuple[Configuration, ...], edges: tuple[str, ...] = ()
) -> Answer:
    """The answer for one run, or for the best of several; `edges` are doubts about the space."""
    if len(source.runs) == 1:
        return _of_run(source.runs[0], source.metric)
    return _of_runs(source, ranked, edges)


def _of_run(run: Run, metric: Metric) -> Answer:
    test = Metric("test/accuracy")
    judged = test if test.of(run) is not None else metric
    return Answer(_run_sentence(run, judged), _run_doubts(run, judged), _run_facts(run, judged))


def _run_sentence(run: Run, judged: Metric) -> str:
    value, images = judged.of(run), run.images_scored(judged.split)
    who = f"{run.settings.get('model.name')} trained by {run.settings.get('optim.name')}"
    who = run.name if run.program or not run.settings else who
    if value is None:
        return f"{who}: no score yet, the run is {run.state} ({run.reason})."
    ended = "" if run.state == "completed" else f" when it was {run.state}"
    if not judged.is_share:
        return f"{who} reached {wording.value(judged, value)} in {judged.words}{ended}."
    of = f"of {images:,} {judged.split} images" if images else f"of the {judged.split} images"
    set_name = run.environment.get("data", {}).get("name") or run.settings.get("data.name")
    return f"{who} gets {wording.percent(value, 1)} {of} of {set_name} right{ended}."


def _run_doubts(run: Run, judged: Metric) -> tuple[str, ...]:
    doubts = []
    value, images = judged.of(run), run.images_scored(judged.split)
    if value is not None and images and judged.is_share:
        ends = wording.interval(judged, over_images(value, images))
        doubts.append(
            f"95 % interval {ends}, from the number of images alone. It is one training: how "
            "much another seed would differ is not known."
        )
    if _validated_on_test(run):
        doubts.append(VALIDATED_ON_TEST)
    if run.state not in ("completed", "unfinished"):
        doubts.append(f"The run {_ended(run)}: {run.reason}.")
    return tuple(doubts)


OTHER_IMAGES = (
    "These runs are on different images: a score on one set says nothing of another set's."
)
VALIDATED_ON_TEST = (
    "This run validated on the test split, as published speed runs do: whatever was chosen by "
    "these scores makes them look better than they are."
)


def _ended(run: Run) -> str:
    return run.state if run.state in ("diverged", "failed") else f"was {run.state}"


def _run_facts(run: Run, judged: Metric) -> tuple[Fact, ...]:
    facts = [Fact(wording.value(judged, judged.of(run)), judged.words)]
    for name in (f"{judged.name}_tta", "val/accuracy", "val/loss"):
        other = Metric(name)
        if other != judged and other.of(run) is not None:
            facts.append(Fact(wording.value(other, other.of(run)), other.words))
    facts.append(Fact(wording.duration(run.train_seconds), "of training"))
    facts.append(Fact(f"{run.steps:,}", "steps"))
    parameters = run.environment.get("parameters")
    if isinstance(parameters, int):
        facts.append(Fact(f"{parameters:,}", "parameters"))
    return tuple(facts)


def _of_runs(source: Source, ranked: tuple[Configuration, ...], edges: tuple[str, ...]) -> Answer:
    metric, first = source.metric, ranked[0] if ranked else None
    if first is None or first.value is None:
        return Answer("No run has a score yet.", (), _tally(source, ranked))
    if not first.sound:
        sentence = "No configuration completed all its runs, so there is no winner."
        return Answer(sentence, tuple(_not_completed(source)), _tally(source, ranked))
    doubts = [*_next_best(ranked, metric), *_flattery(ranked, metric), *_not_completed(source)]
    if any(_validated_on_test(run) for run in source.runs):
        doubts.append(VALIDATED_ON_TEST)
    images = {run.environment.get("data", {}).get("fingerprint") for run in source.runs}
    if len(images - {None}) > 1:
        doubts.append(OTHER_IMAGES)
    sentence = _best_sentence(first, ranked, metric)
    return Answer(sentence, (*doubts, *edges), _tally(source, ranked))


def _best_sentence(first: Configuration, ranked: tuple[Configuration, ...], metric: Metric) -> str:
    assert first.value is not None
    chosen = first.described
    of = f"The best of {wording.count(len(ranked), 'configuration')}"
    reached = f"{wording.value(metric, first.value.value, 1)} {metric.words}"
    if len(ranked) == 1:
        n = first.value.n if first.value.of == "seeds" else 1
        over = f" in the mean over {wording.count(n, 'seed')}" if n > 1 else ""
        return f"{chosen} reaches {reached}{over}."
    return f"{of} reaches {reached}: {chosen}."


def _next_best(ranked: tuple[Configuration, ...], metric: Metric) -> list[str]:
    first = ranked[0]
    assert first.value is not None
    told = []
    if first.value.half is not None:
        ends = wording.interval(metric, first.value)
        over = (
            f"over {first.value.n} seeds"
            if first.value.of == "seeds"
            else f"from the {first.value.n:,} scored images alone; seeds may differ by more"
        )
        told.append(f"95 % interval {ends}, {over}.")
    rival = next((s for s in standings(ranked, metric) if s.behind), None)
    if rival is None or rival.behind is None:
        return told
    ahead = rival.behind
    name, by = rival.configuration.described, wording.gap(metric, ahead.value)
    if ahead.low is None or ahead.high is None:
        side = "behind" if ahead.value >= 0 else "ahead, on fewer seeds"
        told.append(
            f"The next, {name}, is {by} {side}: without two seeds in common, that may be noise."
        )
    elif rival.is_behind:
        told.append(f"It beats the next, {name}, by {by} ({_ends(metric, ahead)}).")
    elif ahead.low > 0:
        told.append(
            f"It cannot be told apart from the next, {name}: the difference is {by} "
            f"({_ends(metric, ahead)} for this pair alone), and among so many configurations "
            "chance alone gives such a gap."
        )
    elif ahead.high < 0:
        told.append(
            f"On the seeds that both have, the next, {name}, is {by} ahead "
            f"({_ends(metric, ahead)}): give both the same seeds."
        )
    else:
        told.append(
            f"It cannot be told apart from the next, {name}: the difference is {by} "
            f"({_ends(metric, ahead)}), and intervals that hold 0 decide nothing."
        )
    return told


def _ends(metric: Metric, estimate: Estimate) -> str:
    assert estimate.low is not None
    assert estimate.high is not None
    low, high = metric.scaled(estimate.low), metric.scaled(estimate.high)
    return f"95 % interval {low:.2g} to {high:.2g}".replace("-", "−")


def _flattery(ranked: tuple[Configuration, ...], metric: Metric) -> list[str]:
    """The best of many scores is above what it stands for."""
    first = ranked[0]
    if len(ranked) < 2:
        return []
    chosen = f"It was chosen as the best of {len(ranked):,} by this score, which flatters it"
    if first.test is not None:
        test = Metric("test/accuracy")
        return [f"{chosen}; on test it reaches {wording.plus_minus(test, first.test)}."]
    on_test = any(_validated_on_test(run) for each in ranked for run in each.runs)
    return [f"{chosen}; test was not touched." if metric.is_ours and not on_test else f"{chosen}."]


def _validated_on_test(run: Run) -> bool:
    return run.settings.get("data.validate_on") == "test"


def _not_completed(source: Source) -> list[str]:
    counted = Counter(run.state for run in source.runs if run.state != "completed")
    if not counted:
        return []
    told = wording.listed([f"{count} {state}" for state, count in counted.most_common()])
    return [f"Of {wording.count(len(source.runs), 'run')}, {told}; all of them are in the table."]


def _tally(source: Source, ranked: tuple[Configuration, ...]) -> tuple[Fact, ...]:
    facts = []
    if ranked and ranked[0].value and ranked[0].sound:
        best = ranked[0].value
        facts.append(Fact(wording.plus_minus(source.metric, best), source.metric.words))
    facts.append(Fact(f"{len(ranked):,}", f"configuration{'s' * (len(ranked) != 1)}"))
    facts += [
        Fact(f"{count:,}", f"run{'s' * (count != 1)} {state}")
        for state, count in Counter(run.state for run in source.runs).most_common()
    ]
    seconds = sum(run.train_seconds for run in source.runs)
    return (*facts, Fact(wording.duration(seconds), "of training in all"))
