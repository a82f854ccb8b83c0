"""All that a page says of runs or a sweep, computed before any of it is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fallline.report.answer import Answer, answer_of
from fallline.report.configuration import Configuration, ranking, varied_settings
from fallline.report.curve_figures import ranked_figures, run_figures
from fallline.report.effect_figures import effect_figures, importance_figure
from fallline.report.effects import Effects, Parallel, effects_of
from fallline.report.figures import Figure
from fallline.report.grids import confusions_grid, ranking_grid, sensitivity_grid
from fallline.report.methods import methods_of
from fallline.report.metric import Metric
from fallline.report.ranking_figures import ranking_figure, search_figure
from fallline.report.run import Run
from fallline.report.runtable import RunTable, repeat_command, run_table
from fallline.report.section import Block, Section
from fallline.report.sources import Kind, Source
from fallline.report.standing import standings
from fallline.report.table import Grid
from fallline.report.tried import of_configuration
from fallline.report.winner import Winner, winner_of
from fallline.report.winner_figures import winner_figures

SUBJECTS: Final[dict[Kind, str]] = {
    "run": "One run",
    "runs": "Several runs",
    "sweep": "A sweep",
    "comparison": "A comparison",
}


@dataclass(frozen=True)
class Document:
    """A report: the answer first, then what it rests on.

    Attributes:
        title: what it is about.
        subject: what kind of thing that is.
        answer: the sentence, its doubts, numbers that stand out.
        sections: in a reader's order.
        effects: what the settings did, by the suffix of its figures' names; one for each model of
            a comparison, none where nothing was varied.
        winners: the best run image by image, likewise, if it kept its answers.
    """

    title: str
    subject: str
    answer: Answer
    sections: tuple[Section, ...]
    effects: Mapping[str, Effects] = field(default_factory=dict)
    winners: Mapping[str, Winner] = field(default_factory=dict)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure."""
        return tuple(b for s in self.sections for b in s.blocks if isinstance(b, Figure))

    @property
    def grids(self) -> dict[str, Grid]:
        """Every table but that of runs, by name."""
        blocks = (b for s in self.sections for b in s.blocks)
        return {b.name: b for b in blocks if isinstance(b, Grid)}

    @property
    def table(self) -> RunTable:
        """The table of runs; empty where there are none."""
        found = (b for s in self.sections for b in s.blocks if isinstance(b, RunTable))
        return next(found, RunTable((), ()))

    @property
    def parallels(self) -> tuple[Parallel, ...]:
        """The parallel coordinates."""
        return tuple(effects.parallel for effects in self.effects.values())


def document_of(source: Source) -> Document:
    """Computes the report of runs or a sweep."""
    metric, varied = source.metric, varied_settings(source.runs)
    ranked = ranking(source.runs, metric)
    effects = effects_of([of_configuration(each) for each in ranked], varied, metric)
    winner = winner_of(ranked[0].runs[0]) if ranked else None
    table = run_table(source.runs, varied, metric)
    sections = [
        *_ranking(ranked, metric),
        *_curves(source, ranked),
        *_settings(effects, metric),
        Section("runs", "Every run", ((table,),)),
        *winner_sections("The winner" if len(ranked) > 1 else "Its answers", winner),
        Section("methods", "How it was done", ((methods_of(source, _command(source, ranked)),),)),
    ]
    return Document(
        title=source.name,
        subject=SUBJECTS[source.kind],
        answer=answer_of(source, ranked, effects.edges if effects else ()),
        sections=tuple(sections),
        effects={"": effects} if effects else {},
        winners={"": winner} if winner else {},
    )


def winner_sections(whose: str, winner: Winner | None, suffix: str = "") -> list[Section]:
    """The winner image by image, if it kept its answers; `whose` says who that is."""
    if winner is None:
        return []
    figures: tuple[Block, ...] = winner_figures(winner, suffix)
    more: list[Block] = [winner.mistakes] if winner.mistakes.shown else []
    more += [confusions_grid(winner, suffix)] if winner.pairs else []
    title = f"{whose}, image by image"
    return [Section(f"winner{suffix}", title, (figures, tuple(more)), winner.lead)]


def _ranking(ranked: tuple[Configuration, ...], metric: Metric) -> list[Section]:
    if len(ranked) < 2:
        return []
    places = ranking_figure(ranked, metric)
    search = search_figure(ranked, metric, places.height)
    grid = ranking_grid(standings(ranked, metric), metric)
    return [Section("ranking", "Ranking", ((places, search), (grid,)))]


def _curves(source: Source, ranked: tuple[Configuration, ...]) -> list[Section]:
    if not ranked:
        return []
    if source.kind == "run" and source.metric.is_ours:
        figures = run_figures(source.runs[0])
    else:
        figures = ranked_figures(ranked, source.metric)
    return [Section("curves", "Curves", (figures,))]


def _settings(effects: Effects | None, metric: Metric) -> list[Section]:
    if effects is None:
        return []
    weighed = importance_figure(effects)
    middle: list[Block] = [weighed] if weighed else []
    middle += [sensitivity_grid(effects)] if effects.sensitivities else []
    rows = ((effects.parallel,), tuple(middle), effect_figures(effects, metric))
    return [Section("settings", "What each setting did", tuple(row for row in rows if row))]


def _command(source: Source, ranked: tuple[Configuration, ...]) -> str:
    told = source.facts.get("command")
    if isinstance(told, str) and told:
        return _from_anywhere(told)
    best: Run | None = ranked[0].runs[0] if ranked else None
    return repeat_command(best) if best else ""


def _from_anywhere(command: str) -> str:
    """The command without the folder that the program lay in."""
    program, _, rest = command.partition(" ")
    return f"{program.rpartition('/')[2]} {rest}".strip()
