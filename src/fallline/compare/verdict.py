"""The answer on one workload, as data and in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fallline.compare.difference import Difference
from fallline.compare.estimate import Estimate
from fallline.compare.power import MOST_SEEDS
from fallline.compare.standing import Standing


@dataclass(frozen=True)
class Verdict:
    """Who won.

    Attributes:
        winner: beats every rival beyond noise; None where nobody does, or not all has ended.
        contenders: the leader, and whoever cannot be told from it.
        sentence: the answer, with its uncertainty and n.
        seeds_needed: that would tell the leader from every contender, or from the next where it
            wins; None as in `Difference`.
    """

    winner: str | None
    contenders: tuple[str, ...]
    sentence: str
    seeds_needed: int | None


def verdict_of(
    standings: Sequence[Standing], differences: Sequence[Difference], split: str
) -> Verdict:
    """The verdict on a ranking, the best first; `split` is where it was scored."""
    scored = [standing for standing in standings if standing.score is not None]
    if not scored:
        return Verdict(None, (), "There is no answer yet: no optimizer has been repeated.", None)
    leader = scored[0]
    contenders = tuple(s.optimizer for s in standings if s.contender)
    gaps = [d for d in differences if d.better == leader.optimizer]
    hardest = max((gap for gap in gaps if not gap.told), key=_effort, default=None)
    narrowest = hardest or (gaps[0] if gaps else None)
    needed = narrowest.seeds_needed if narrowest else None
    if open_ := sum(standing.open for standing in standings):
        still = "1 training is" if open_ == 1 else f"{open_} trainings are"
        text = f"Not all has ended, {still} open: so far {_reached(leader, split)}."
        return Verdict(None, contenders, text, needed)
    if len(standings) == 1:
        return Verdict(None, contenders, f"{_reached(leader, split)}. It had no rival.", None)
    if narrowest is None:
        text = f"No winner: {_reached(leader, split)}, and no rival came to a score."
        return Verdict(None, contenders, text, None)
    if hardest is None:
        return Verdict(leader.optimizer, contenders, _won(leader, narrowest, split), needed)
    return Verdict(None, contenders, _open(leader, contenders, hardest, split), needed)


def _effort(gap: Difference) -> float:
    """How many seeds it takes to tell the gap; one whose spread is not known takes the most."""
    if gap.gap.half is None:
        return float("inf")
    return MOST_SEEDS + 1 if gap.seeds_needed is None else gap.seeds_needed


def percent(fraction: float) -> str:
    """An accuracy as people read it."""
    return f"{100 * fraction:.1f} %"


def with_interval(value: Estimate) -> str:
    """A mean accuracy with half its 95 % interval and n."""
    if value.half is None:
        return f"{percent(value.mean)} (n = {value.n})"
    return f"{percent(value.mean)} ± {100 * value.half:.1f} (95 % interval, n = {value.n})"


def _reached(leader: Standing, split: str) -> str:
    assert leader.score is not None
    return f"{leader.optimizer} reaches {with_interval(leader.score)} on {split}"


def _won(leader: Standing, nearest: Difference, split: str) -> str:
    chance = (
        "" if leader.chance_best is None else f"; {_chance(leader.chance_best)} to be the best"
    )
    return f"{_reached(leader, split)} and wins: {_ahead(nearest)}{chance}."


def _open(leader: Standing, contenders: Sequence[str], hardest: Difference, split: str) -> str:
    rivals = [name for name in contenders if name != leader.optimizer]
    text = f"No winner: {_reached(leader, split)}, but {_listed(rivals)} cannot be told from it"
    if hardest.gap.half is None:
        return f"{text}: that takes at least two seeds."
    more = (
        "more than 1,000 seeds would be needed"
        if hardest.seeds_needed is None
        else f"about {hardest.seeds_needed} seeds would tell such a gap"
    )
    return f"{text}; it is {_ahead(hardest)}, and {more}."


def _ahead(gap: Difference) -> str:
    assert gap.gap.low is not None
    assert gap.gap.high is not None
    low, high = 100 * gap.gap.low, 100 * gap.gap.high
    return f"{100 * gap.gap.mean:.2f} points ahead of {gap.worse} ({low:.2f} to {high:.2f})"


def _chance(chance: float) -> str:
    return "over 99.9 %" if chance > 0.999 else f"{100 * chance:.1f} %"


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
