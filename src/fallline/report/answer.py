"""The answer in one sentence, with its uncertainty, and what stands against it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from fallline.report import wording
from fallline.report.configuration import Configuration
from fallline.report.metric import Metric
from fallline.report.run import Run
from fallline.report.sources import Source


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


def answer_of(source: Source, ranked: tuple[Configuration, ...]) -> Answer:
    """The answer for one run, or for the best of several."""
    if len(source.runs) == 1:
        return _of_run(source.runs[0], source.metric)
    return _of_runs(source, ranked)


def _of_run(run: Run, metric: Metric) -> Answer:
    test = Metric("test/accuracy")
    judged = test if test.of(run) is not None else metric
    return Answer(_run_sentence(run, judged), _run_doubts(run, judged), _run_facts(run, judged))


def _run_sentence(run: Run, judged: Metric) -> str:
    value, images = judged.of(run), run.images_scored(judged.split)
    who = f"{run.settings.get('model.name')} trained by {run.settings.get('optim.name')}"
    if value is None:
        return f"{who}: no score yet, the run is {run.state} ({run.reason})."
    ended = "" if run.state == "completed" else f" when it was {run.state}"
    if not judged.is_share:
        return f"{who} reached {wording.value(judged, value)} in {judged.words}{ended}."
    of = f"of {images:,} {judged.split} images" if images else f"of the {judged.split} images"
    set_name = run.environment.get("data", {}).get("name") or run.settings.get("data.name")
    return f"{who} gets {wording.percent(value, 1)} {of} of {set_name} right{ended}."


def _run_doubts(run: Run, judged: Metric) -> tuple[str, ...]:
    from fallline.report.estimate import over_images

    doubts = []
    value, images = judged.of(run), run.images_scored(judged.split)
    if value is not None and images and judged.is_share:
        ends = wording.interval(judged, over_images(value, images))
        doubts.append(
            f"95 % interval {ends}, from the number of images alone. It is one training: how "
            "much another seed would differ is not known."
        )
    if run.settings.get("data.validate_on") == "test":
        doubts.append(VALIDATED_ON_TEST)
    if run.state not in ("completed", "unfinished"):
        doubts.append(f"The run {_ended(run)}: {run.reason}.")
    return tuple(doubts)


VALIDATED_ON_TEST = (
    "This run validated on the test split, as published speed runs do: whatever was chosen by "
    "these scores makes them look better than they are."
)


def _ended(run: Run) -> str:
    return run.state if run.state in ("diverged", "failed") else f"was {run.state}"


def _run_facts(run: Run, judged: Metric) -> tuple[Fact, ...]:
    facts = [Fact(wording.value(judged, judged.of(run)), judged.words)]
    for name in ("val/accuracy", "val/loss"):
        other = Metric(name)
        if other != judged and other.of(run) is not None:
            facts.append(Fact(wording.value(other, other.of(run)), other.words))
    facts.append(Fact(wording.duration(run.train_seconds), "of training"))
    facts.append(Fact(f"{run.steps:,}", "steps"))
    parameters = run.environment.get("parameters")
    if isinstance(parameters, int):
        facts.append(Fact(f"{parameters:,}", "parameters"))
    return tuple(facts)


def _of_runs(source: Source, ranked: tuple[Configuration, ...]) -> Answer:
    return Answer("", (), _states(source.runs))


def _states(runs: tuple[Run, ...]) -> tuple[Fact, ...]:
    counted = Counter(run.state for run in runs)
    return tuple(Fact(str(count), state) for state, count in counted.most_common())
