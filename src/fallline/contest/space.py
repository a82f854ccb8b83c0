"""What is tried for an optimizer: its row's space, at points of the unit cube all share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from fallline.compare.plan import Axis
from fallline.errors import ConfigError
from fallline.optim.table import row
from fallline.space import Choice, Dimension, Integers, LogUniform, Space, Uniform

DIMENSIONS: Final = 16  # of the cube; fixed, so that a point is the same whoever takes part
DIGITS: Final = 4  # of a value; more say nothing


def declared(optimizer: str, options: Mapping[str, Any]) -> Space:
    """The search space of an optimizer by dotted keys, the learning rate first.

    One that wraps another (SAM) searches that one's space too.

    Args:
        optimizer: a row's name.
        options: of the optimizer, complete; they say what it wraps.
    """
    outer = row(optimizer)
    space: dict[str, Dimension] = {}
    if outer.wraps:
        taken = outer.options.model_fields
        base = row(str(options["base"])).space
        space = {(f"base_{key}" if key in taken else key): base[key] for key in base}
    space |= outer.space
    first = {key: space[key] for key in space if key == "lr"}
    return {f"optim.{key}": dimension for key, dimension in (first | space).items()}


def configurations(space: Space, count: int, seed: int) -> tuple[dict[str, Any], ...]:
    """The settings of each configuration.

    Every optimizer gets the same points of the cube; each takes as many of their coordinates as
    its space has dimensions, the learning rate the first.
    """
    if len(space) > DIMENSIONS:
        raise ConfigError(
            "a search space is too large", seen=len(space), allowed=f"{DIMENSIONS} dimensions"
        )
    points = cube(count, seed)
    return tuple(
        {
            key: _rounded(d, d.at(float(u)))
            for (key, d), u in zip(space.items(), point, strict=False)
        }
        for point in points
    )


def cube(count: int, seed: int) -> np.ndarray:
    """Points (count, DIMENSIONS) of the unit cube, evenly spread as a whole and along each axis.

    Scrambled Sobol' points (Owen 1998) are that for powers of 2; of another number some part of an
    axis would be left out (3 points: a quarter of the learning rates). So each coordinate is moved
    to the stratum of its rank, as in a Latin hypercube: each n-th of an axis gets one point.
    """
    from scipy.stats import qmc  # only now: it takes a second to load

    power = max(1, int(np.ceil(np.log2(count))))
    sampler = qmc.Sobol(DIMENSIONS, scramble=True, rng=np.random.default_rng(seed))
    points = sampler.random_base2(power)[:count]
    ranks = points.argsort(axis=0).argsort(axis=0)
    within = points * 2**power % 1
    spread: np.ndarray = (ranks + within) / count
    return spread


def axis_of(key: str, dimension: Dimension) -> Axis:
    """A dimension as plain data."""
    match dimension:
        case Uniform(low, high):
            return Axis(key, "uniform", low, high)
        case LogUniform(low, high):
            return Axis(key, "log", low, high)
        case Choice(values, None):
            return Axis(key, "choice", values=tuple(values))
        case Integers(low, high):
            return Axis(key, "choice", values=tuple(range(low, high + 1)))
        case _:
            raise TypeError(f"{key}: a comparison has no axis for {dimension}")


def _rounded(dimension: Dimension, value: Any) -> Any:
    if isinstance(dimension, Choice) or not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}")
