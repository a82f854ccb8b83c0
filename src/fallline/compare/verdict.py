"""The answer on one workload, as data and in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fallline.compare.chances import chance_words
from fallline.compare.difference import Difference
from fallline.compare.estimate import Estimate
from fallline.compare.power import MOST_SEEDS
from fallline.compare.standing import Standing


@dataclass(frozen=True)
class Verdict:
    """Who won.

    Attributes:
        winner: beats every rival beyond noise; None where nobody does, or not all is done.
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
        return Verdict(None, (), _nothing(standings), None)
    leader = scored[0]
    contenders = tuple(s.optimizer for s in standings if s.contender)
    gaps = [d for d in differences if d.better == leader.optimizer]
    hardest = max((gap for gap in gaps if not gap.told), key=_effort, default=None)
    narrowest = hardest or (gaps[0] if gaps else None)
    needed = narrowest.seeds_needed if narrowest else None
    if wanted := _wanted(standings):
        text = f"Not all is done, {wanted}: so far {_reached(leader, split)}."
        return Verdict(None, contenders, text, needed)
    if len(standings) == 1:
        return Verdict(None, contenders, f"{_reached(leader, split)}. It had no rival.", None)
    if narrowest is None:
        text = f"No winner: {_reached(leader, split)}, and no rival came to a score."
        return Verdict(None, contenders, text, None)
    absent = _absent(standings)
    if hardest is None:
        text = f"{_won(leader, narrowest, split)}{absent}"
        return Verdict(leader.optimizer, contenders, text, needed)
    text = f"{_open(leader, contenders, hardest, split)}{absent}"
    return Verdict(None, contenders, text, needed)


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


def _wanted(standings: Sequence[Standing]) -> str:
    """What has no result yet, in words; "" where all has one."""
    failed = sum(standing.repeated.failed for standing in standings)
    missing = sum(standing.open for standing in standings) - failed
    told = [f"{missing} {'training is' if missing == 1 else 'trainings are'} open"] * bool(missing)
    told += [f"{failed} {'repeat' if failed == 1 else 'repeats'} failed"] * bool(failed)
    return _listed(told)


def _nothing(standings: Sequence[Standing]) -> str:
    if wanted := _wanted(standings):
        return f"There is no answer yet: no optimizer has a score, {wanted}."
    return "There is no answer: no configuration of any optimizer completed."


def _absent(standings: Sequence[Standing]) -> str:
    """Who is not in the ranking, as a sentence that follows another."""
    names = [standing.optimizer for standing in standings if standing.score is None]
    return f" No score for {_listed(names)}: not one configuration completed." if names else ""


def _reached(leader: Standing, split: str) -> str:
    assert leader.score is not None
    return f"{leader.optimizer} reaches {with_interval(leader.score)} on {split}"


def _won(leader: Standing, nearest: Difference, split: str) -> str:
    text = f"{_reached(leader, split)} and wins: {_ahead(nearest)}"
    if leader.chance_best is None:
        return f"{text}."
    return f"{text}; {chance_words(leader.chance_best).replace('>', 'over')} to be the best."


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


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
