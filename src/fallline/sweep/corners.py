"""The configurations a space is judged by before anything starts: its ends, and its first points.

For each combination of the rows a space can name (optimizers, models), every value at the end of a
dimension is resolved with the others in their middle; then the first points themselves. What no
training would accept is a fault now, not in the night.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from typing import Any

from fallline.config import SHORT_NAMES
from fallline.errors import FalllineError, Fault, did_you_mean
from fallline.models.table import MODELS
from fallline.optim.table import OPTIMIZERS
from fallline.space import Choice, Constant, Dimension, Integers, LogUniform, Space, Uniform
from fallline.training.layers import Layer
from fallline.training.resolve import resolve, without_idle

LEADS = ("model", "model.name", "optim", "optim.name", "optim.base", "optim.rest")
"""Settings that name a row, and with it which options there are."""
COMBINATIONS, ENDS, POINTS = 256, 3000, 200
"""The most combinations of rows, ends of dimensions and points that are tried; 0.2 ms each."""
UNLIKELY = 1e-6
"""Where a distribution without ends is cut for the check."""


class Corners:
    """The check of one space over the settings below it.

    Args:
        space: dimensions by dotted key.
        layers: the settings that the space's values are laid over.
    """

    def __init__(self, space: Space, layers: Sequence[Layer]) -> None:
        self.space = space
        self.layers = layers
        self._middle = {key: dimension.at(0.5) for key, dimension in space.items()}
        self._nameless: list[Fault] = []  # of combinations that name a row there is not
        self._leads = [lead for lead in self._combinations() if self._is_there(lead)]
        self._idle = [self._idle_at(lead) for lead in self._leads]

    def faults(self, points: Iterable[Mapping[str, Any]]) -> list[Fault]:
        """Everything that a training would refuse, each once; `points` are the first ones."""
        nowhere = self.idle_everywhere()
        found = [*self._nameless, *map(self._no_option, nowhere)]
        for values in islice(self._ends(), ENDS):
            found += self._faults_at({k: v for k, v in values.items() if k not in nowhere})
        for point in islice(points, POINTS):
            if found:  # the points would only repeat it, each with a value of its own
                break
            found += self._faults_at(point)
        return _merged(found)

    def idle_everywhere(self) -> list[str]:
        """Row options that no row takes which the space or the base can name."""
        return [
            key for key in self.space if self._leads and all(key in idle for idle in self._idle)
        ]

    def idle_sometimes(self) -> dict[str, list[str]]:
        """Row options by key, with the rows among those the space names that do not take them."""
        rows: dict[str, list[str]] = {}
        for lead, idle in zip(self._leads, self._idle, strict=True):
            for key in idle:
                taking = {word: name for word, name in lead.items() if word not in idle}
                rows.setdefault(key, []).append(_named(taking, key.partition(".")[0]))
        return {key: list(dict.fromkeys(names)) for key, names in rows.items()}

    def _combinations(self) -> list[dict[str, Any]]:
        """Combinations of the values of those dimensions that name rows."""
        named = {key: _ends_of(self.space[key]) for key in LEADS if key in self.space}
        combinations = islice(product(*named.values()), COMBINATIONS)
        return [dict(zip(named, values, strict=True)) for values in combinations]

    def _is_there(self, lead: Mapping[str, Any]) -> bool:
        found = self._faults_at(lead)
        self._nameless += found
        return not found

    def _idle_at(self, lead: Mapping[str, Any]) -> tuple[str, ...]:
        return without_idle(self.layers, Layer("sweep", {**self._middle, **lead}))[1]

    def _ends(self) -> Iterator[dict[str, Any]]:
        """Each end of each dimension: row options with every combination of rows, others once."""
        for i, lead in enumerate(self._leads):
            for key, dimension in self.space.items():
                of_a_row = key.startswith(("optim.", "model."))
                if key in self._idle[i] or key in lead or (i > 0 and not of_a_row):
                    continue
                for value in _ends_of(dimension):
                    yield {**self._middle, **lead, key: value}
            yield {**self._middle, **lead}

    def _faults_at(self, values: Mapping[str, Any]) -> tuple[Fault, ...]:
        layer, _ = without_idle(self.layers, Layer("sweep", values))
        try:
            resolve([*self.layers, layer])
        except FalllineError as error:
            return error.faults
        return ()

    def _no_option(self, key: str) -> Fault:
        section, _, option = key.partition(".")
        named = ", ".join(self._names(section)) or "the one of the base"
        table = OPTIMIZERS if section == "optim" else MODELS
        takers = [row.name for row in table if option in row.options.model_fields]
        noun = "optimizer" if section == "optim" else "model"
        meant = self._meant(section, option)
        return Fault(
            f"{key} is an option of no {noun} that this sweep can name",
            seen=named,
            allowed=f"it is one of {', '.join(takers)}" if takers else None,
            next=f"did you mean {meant}?" if meant else f"see them with: fallline list {noun}s",
        )

    def _meant(self, section: str, option: str) -> str | None:
        """The setting of the section that a wrong word of it stands for, if any comes close."""
        short = SHORT_NAMES.get(option, "")
        if short.startswith(f"{section}.") and short != f"{section}.{option}":
            return short
        names = self._names(section)
        table = OPTIMIZERS if section == "optim" else MODELS
        rows = [row for row in table if not names or row.name in names]
        guess = did_you_mean(option, [name for row in rows for name in row.options.model_fields])
        return f"{section}.{guess}" if guess and guess != option else None

    def _names(self, section: str) -> list[str]:
        """The rows that the space names, as far as it does."""
        names = [_named(lead, section) for lead in self._leads]
        return [name for name in dict.fromkeys(names) if name]


def _named(lead: Mapping[str, Any], section: str) -> str:
    """The rows of a section that a combination names: "sam with adam"."""
    values = [value for word, value in lead.items() if word.partition(".")[0] == section]
    names = [value.get("name", "") if isinstance(value, Mapping) else value for value in values]
    return " with ".join(str(name) for name in names if name)


def _merged(faults: Iterable[Fault]) -> list[Fault]:
    """One fault for those that differ in what was seen alone."""
    seen: dict[Fault, list[str]] = {}
    for fault in faults:
        values = seen.setdefault(replace(fault, seen=None), [])
        values += [fault.seen] if fault.seen is not None and fault.seen not in values else []
    return [replace(f, seen=", ".join(values) if values else None) for f, values in seen.items()]


def _ends_of(dimension: Dimension) -> list[Any]:
    match dimension:
        case Constant(value):
            return [value]
        case Choice(values):
            return list(values)
        case Uniform() | LogUniform() | Integers():
            return [dimension.at(0.0), dimension.at(1.0)]
        case _:
            return [dimension.at(UNLIKELY), dimension.at(1 - UNLIKELY)]
