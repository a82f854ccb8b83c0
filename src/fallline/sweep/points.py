"""The configurations of a search: every point of a grid, or a draw for each number.

Both are functions of the file alone: the same list whatever the number of workers, across stops.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np

from fallline.space import Choice, Constant, Dimension, Integers, Rounded, Space, Uniform

LISTED = 100_000
"""The most values of one parameter in a grid."""
Values = dict[str, Any]
"""The value of every parameter of a space, by its key."""


class Grid(Sequence[Values]):
    """Every combination of the values of a space, in W&B's order.

    Parameters are sorted by name (nested ones within their group), and the last name varies
    fastest. Values of one parameter that are equal (64 and 64.0 are) count once, as in W&B's
    reference (package sweeps 0.3.0, grid_search.py).

    Args:
        space: its order is that of the names; `read` sees to that. Raises ValueError for a
            dimension that has no list of values.
    """

    def __init__(self, space: Space) -> None:
        self._values = {key: _distinct(listed(dimension)) for key, dimension in space.items()}

    def __len__(self) -> int:
        return math.prod(len(values) for values in self._values.values())

    @overload
    def __getitem__(self, number: int) -> Values: ...
    @overload
    def __getitem__(self, number: slice) -> list[Values]: ...
    def __getitem__(self, number: int | slice) -> Values | list[Values]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(f"the grid has {len(self)} points, there is none at {number}")
        rest, point = number % len(self), {}
        for key, values in reversed(self._values.items()):
            rest, place = divmod(rest, len(values))
            point[key] = values[place]
        return {key: point[key] for key in self._values}


def listed(dimension: Dimension) -> list[Any]:
    """The values that a grid takes of a dimension. Raises ValueError if they cannot be listed."""
    if (count := _count(dimension)) > LISTED:
        raise ValueError(f"a grid cannot list {count:.0f} values: {dimension}")
    match dimension:
        case Constant(value):
            return [value]
        case Choice(values, None):
            return list(values)
        case Integers(low, high):
            return list(range(low, high + 1))
        case Rounded(Uniform(low, high), q):
            return list(np.arange(low, high, q).tolist())  # without its upper end, as W&B's
        case _:
            raise ValueError(f"a grid cannot list the values of: {dimension}")


def _count(dimension: Dimension) -> float:
    match dimension:
        case Integers(low, high):
            return high - low + 1
        case Rounded(Uniform(low, high), q):
            return (high - low) / q
        case _:
            return 1


def draw(space: Space, seed: int, number: int) -> Values:
    """The random configuration of a number: each parameter drawn from its own distribution.

    A parameter's draw depends on the seed, the number and its key alone, so that adding one to a
    space leaves the draws of the others as they are.
    """
    return {key: dimension.at(place(seed, number, key)) for key, dimension in space.items()}


def place(seed: int, number: int, key: str) -> float:
    """A number between 0 and 1, both excluded, as good as random: 53 bits of a BLAKE2 digest."""
    text = json.dumps([seed, number, key]).encode()
    bits = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 11
    return (bits + 0.5) / 2**53 if bits < 2**53 - 1 else 1 - 2.0**-53  # 0.5 more would be 1


def _distinct(values: list[Any]) -> list[Any]:
    """Equal values once: at the place of the first, in the spelling of the last, as W&B's."""
    return list({_identity(value): value for value in values}.values())


def _identity(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, sort_keys=True, default=str)


def settled(values: Mapping[str, Any]) -> str:
    """Text that is equal for equal values, whatever their order: to recognize a configuration."""
    return json.dumps({key: _identity(value) for key, value in sorted(values.items())})
