"""The folder of a comparison: its plan, kept by whoever goes on with it, and its results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

from fallline.compare.comparison import COMPARISON, Comparison, comparison_of
from fallline.compare.evidence import PLAN, Evidence
from fallline.compare.plan import Contestant, Plan
from fallline.errors import RunError
from fallline.lock import LOCK, locked
from fallline.storage import make_folder, names_in, write_atomically


@contextmanager
def opened(path: Path, wanted: Plan) -> Iterator[Plan]:
    """The plan in the folder, ours alone while this is open: `wanted`, or what it extends.

    Raises RunError if the folder holds another comparison or something else, or another process is
    at work on it.
    """
    make_folder(path)
    taken = RunError(
        "the comparison is under way in another process",
        seen=str(path),
        next="wait for it or stop it first; --workers runs more trainings at a time",
    )
    with locked(path / LOCK, taken):
        yield _settled(path, wanted)


def conclude(path: Path) -> Comparison:
    """Writes comparison.json from what the folder holds."""
    found = comparison_of(path)
    write_atomically(path / COMPARISON, found.to_json())
    return found


def _settled(path: Path, wanted: Plan) -> Plan:
    file = path / PLAN
    if not file.exists():
        if names_in(path):
            raise RunError(
                "the comparison's folder holds something else",
                seen=str(path),
                next="choose another --name or --out",
            )
        write_atomically(file, wanted.to_json())
        return wanted
    folders = Evidence.read(path).folders
    seen = any(phase == "repeat" for _, _, phase, _, _ in folders)  # test, by whoever wants to
    plan = extended(Plan.from_json(file.read_bytes()), wanted, seen=seen)
    write_atomically(file, plan.to_json())
    return plan


def extended(before: Plan, wanted: Plan, *, seen: bool = True) -> Plan:
    """`wanted`, where it goes on with `before`: the same, or with more seeds or optimizers.

    What was added after results could be `seen` stays on record: seeds as `looks`, optimizers as
    `joined`. Raises RunError.
    """
    known = {c.optimizer: c for c in before.contestants}
    looks, joined = before.looks, before.joined
    if seen and len(wanted.seeds) > len(before.seeds):
        looks = (*looks, len(before.seeds))
    if seen:
        new = (c.optimizer for c in wanted.contestants if c.optimizer not in known)
        joined = (*joined, *new)
    same = {
        "base_settings": before.base_settings in ({}, wanted.base_settings),
        "seeds": wanted.seeds[: len(before.seeds)] == before.seeds,
        "contestants": all(_keeps(known, c) for c in wanted.contestants)
        and set(known) <= {c.optimizer for c in wanted.contestants},
    }
    free = {"command", "looks", "joined"}
    differs = [
        f.name
        for f in fields(Plan)
        if f.name not in free
        and not same.get(f.name, getattr(before, f.name) == getattr(wanted, f.name))
    ]
    if differs:
        raise RunError(
            f"the comparison {before.name} was begun with something else",
            seen="; ".join(f"{name}: {_shown(before, wanted, name)}" for name in differs),
            allowed="the same again goes on with it; more seeds or more optimizers extend it",
            next="choose another --name",
        )
    return replace(wanted, looks=looks, joined=joined)


def _keeps(known: dict[str, Contestant], wanted: Contestant) -> bool:
    return known.get(wanted.optimizer, wanted) == wanted


def _shown(before: Plan, wanted: Plan, name: str) -> str:
    if name == "contestants":
        return "other optimizers, spaces or configurations"
    return f"{getattr(before, name)}, now {getattr(wanted, name)}"
