"""All that a page says, computed before any of it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fallline.report.answer import Answer, answer_of
from fallline.report.configuration import Configuration, ranking, varied_settings
from fallline.report.curve_figures import ranked_figures, run_figures
from fallline.report.effect_figures import effect_figures, importance_figure
from fallline.report.effects import Effects, effects_of
from fallline.report.figures import Figure
from fallline.report.methods import Methods, methods_of
from fallline.report.metric import Metric
from fallline.report.ranking_figures import ranking_figure, search_figure
from fallline.report.runtable import RunTable, repeat_command, run_table
from fallline.report.sources import Kind, Source
from fallline.report.standing import Standing, standings
from fallline.report.winner import Winner, winner_of
from fallline.report.winner_figures import winner_figures

MOST_STANDINGS: Final = 20
TEST: Final = Metric("test/accuracy")
SUBJECTS: Final[dict[Kind, str]] = {
    "run": "One run",
    "runs": "Several runs",
    "sweep": "A sweep",
}


@dataclass(frozen=True)
class Document:
    """A report: the answer first, then what it rests on.

    Attributes:
        title: what it is about.
        subject: what kind of thing that is.
        metric: what runs are judged by.
        answer: the sentence, its doubts, numbers that stand out.
        standings: the best configurations; none for a single one.
        configurations: how many there are.
        ranking, curves, effects: figures.
        shown_effects: what the settings did, None where none was varied.
        table: every run.
        winner: the best run image by image, if it kept its answers.
        answers: figures of that.
        methods: how it was done.
    """

    title: str
    subject: str
    metric: Metric
    answer: Answer
    standings: tuple[Standing, ...]
    configurations: int
    ranking: tuple[Figure, ...]
    curves: tuple[Figure, ...]
    effects: Effects | None
    importance: Figure | None
    single_effects: tuple[Figure, ...]
    table: RunTable
    winner: Winner | None
    answers: tuple[Figure, ...]
    methods: Methods

    test: Metric = TEST

    @property
    def has_test(self) -> bool:
        """Whether test was touched."""
        return any(standing.configuration.test for standing in self.standings)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure."""
        weighed = (self.importance,) if self.importance else ()
        return (*self.ranking, *self.curves, *weighed, *self.single_effects, *self.answers)

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections there are, in a reader's order."""
        found = {
            "answer": True,
            "ranking": self.standings,
            "curves": self.curves,
            "settings": self.effects,
            "runs": True,
            "winner": self.winner,
            "methods": True,
        }
        return tuple(name for name, content in found.items() if content)


def document_of(source: Source) -> Document:
    """Computes the report of a source."""
    metric, varied = source.metric, varied_settings(source.runs)
    ranked = ranking(source.runs, metric)
    effects = effects_of(ranked, varied, metric)
    winner = winner_of(ranked[0].runs[0]) if ranked else None
    several = len(ranked) > 1
    return Document(
        title=source.name,
        subject=SUBJECTS[source.kind],
        metric=metric,
        answer=answer_of(source, ranked, effects.edges if effects else ()),
        standings=standings(ranked[:MOST_STANDINGS], metric) if several else (),
        configurations=len(ranked),
        ranking=_ranking(ranked, metric) if several else (),
        curves=_curves(source, ranked),
        effects=effects,
        importance=importance_figure(effects) if effects else None,
        single_effects=effect_figures(effects, metric) if effects else (),
        table=run_table(source.runs, varied, metric),
        winner=winner,
        answers=winner_figures(winner) if winner else (),
        methods=methods_of(source, _command(source, ranked)),
    )


def _ranking(ranked: tuple[Configuration, ...], metric: Metric) -> tuple[Figure, ...]:
    places = ranking_figure(ranked, metric)
    return places, search_figure(ranked, metric, places.height)


def _curves(source: Source, ranked: tuple[Configuration, ...]) -> tuple[Figure, ...]:
    if source.kind == "run":
        return run_figures(source.runs[0])
    return ranked_figures(ranked) if ranked else ()


def _command(source: Source, ranked: tuple[Configuration, ...]) -> str:
    told = source.facts.get("command")
    if isinstance(told, str) and told:
        return told
    return repeat_command(ranked[0].runs[0]) if ranked else ""
