"""What each setting did in a comparison: over all optimizers together, and in each by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fallline.compare.plan import Plan
from fallline.report import wording
from fallline.report.comparison_figures import VAL, Painter
from fallline.report.configuration import short
from fallline.report.effect_figures import importance_figure
from fallline.report.effects import Effects, by_optimizer, effects_of
from fallline.report.importance import Importance, importances
from fallline.report.section import Block
from fallline.report.table import Cell, Grid, columns, number, word
from fallline.report.tried import OPTIMIZER, Tried
from fallline.report.tuning_figures import learning_rate_figure


def searched(plan: Plan) -> tuple[str, ...]:
    """Every setting that was searched for an optimizer, by dotted key."""
    keys = (axis.key for contestant in plan.contestants for axis in contestant.space)
    return tuple(dict.fromkeys(keys))


def effects_among(tried: Sequence[Tried], plan: Plan, suffix: str = "") -> Effects | None:
    """What the optimizer and its settings did to the configurations, the best first."""
    return effects_of(tried, (OPTIMIZER, *searched(plan)), VAL, suffix)


def settings_rows(
    effects: Effects, tried: Sequence[Tried], plan: Plan, painter: Painter
) -> tuple[tuple[Block | None, ...], ...]:
    """The blocks that show it; None where there is nothing to show."""
    suffix = painter.suffix
    figures = importance_figure(effects, suffix), learning_rate_figure(painter)
    return (effects.parallel,), figures, (_importance_grid(tried, plan, suffix),)


def _importance_grid(tried: Sequence[Tried], plan: Plan, suffix: str) -> Grid | None:
    """How much each setting decides within each optimizer; None with too few configurations."""
    keys = searched(plan)
    found = {
        name: {each.key: each for each in importances(group, keys, VAL)}
        for name, group in by_optimizer(tried).items()
    }
    if not any(found.values()):
        return None
    rows = tuple(
        (
            word(contestant.optimizer),
            word(_clear(found[contestant.optimizer].values())),
            *(_share(found[contestant.optimizer].get(key)) for key in keys),
        )
        for contestant in plan.contestants
    )
    name = f"importance-by-optimizer{suffix}"
    note = (
        "Shares of the differences in rank among the configurations of one optimizer; in brackets "
        "what a setting without effect stays below in 95 of 100 cases. Few configurations tell "
        "only large effects."
    )
    titles = columns("optimizer", "more than chance", *(f"#{short(key)}" for key in keys))
    return Grid(name, "What mattered within each optimizer", titles, rows, note)


def _share(importance: Importance | None) -> Cell:
    if importance is None:
        return number(None)
    text = wording.percent(importance.share, 0)
    return number(importance.share, text, f"({wording.percent(importance.by_chance, 0)})")


def _clear(told: Iterable[Importance]) -> str:
    clear = [short(importance.key) for importance in told if importance.is_clear]
    return wording.listed(clear) if clear else wording.NOTHING
