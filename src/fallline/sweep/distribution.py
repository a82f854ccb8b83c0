"""Every distribution of W&B's, one row each: the keys it takes, and the dimension it states.

Their meaning is W&B's (package sweeps 0.3.0, config/schema.json and params.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fallline.registry import Table
from fallline.space import (
    Beta,
    Choice,
    Constant,
    Dimension,
    Integers,
    LogNormal,
    LogUniform,
    Normal,
    Rounded,
    Uniform,
)

Parts = Mapping[str, Any]


@dataclass(frozen=True)
class Distribution:
    """A row: the keys it needs, those it may have with their defaults, and what it builds."""

    name: str
    summary: str
    needs: tuple[str, ...]
    build: Callable[[Parts], Dimension]
    may: Mapping[str, float] = field(default_factory=dict)
    old: str | None = None
    """The name of the one that W&B asks for instead."""


def _uniform(parts: Parts) -> Uniform:
    return Uniform(parts["min"], parts["max"])


def _log_uniform(parts: Parts) -> LogUniform:
    return LogUniform(parts["min"], parts["max"])


def _exponents(parts: Parts) -> LogUniform:
    return LogUniform(math.exp(parts["min"]), math.exp(parts["max"]))


def _inverse_exponents(parts: Parts) -> LogUniform:
    return LogUniform(math.exp(-parts["max"]), math.exp(-parts["min"]))


def _normal(parts: Parts) -> Normal:
    return Normal(parts["mu"], parts["sigma"])


def _log_normal(parts: Parts) -> LogNormal:
    return LogNormal(parts["mu"], parts["sigma"])


def _beta(parts: Parts) -> Beta:
    return Beta(parts["a"], parts["b"])


def _rounded(
    build: Callable[[Parts], Uniform | LogUniform | Normal | LogNormal | Beta],
) -> Callable[[Parts], Rounded]:
    return lambda parts: Rounded(build(parts), parts["q"])


ENDS = ("min", "max")
SPREAD = {"mu": 0.0, "sigma": 1.0}
SHAPE = {"a": 1.0, "b": 1.0}
STEP = {"q": 1.0}

DISTRIBUTIONS = Table(
    "distribution",
    [
        Distribution("constant", "one value", ("value",), lambda p: Constant(p["value"])),
        Distribution(
            "categorical", "one of a list", ("values",), lambda p: Choice(tuple(p["values"]))
        ),
        Distribution(
            "categorical_w_probabilities",
            "one of a list, with a probability for each",
            ("values", "probabilities"),
            lambda p: Choice(tuple(p["values"]), tuple(p["probabilities"])),
        ),
        Distribution(
            "int_uniform",
            "whole numbers, both ends included",
            ENDS,
            lambda p: Integers(p["min"], p["max"]),
        ),
        Distribution("uniform", "real numbers", ENDS, _uniform),
        Distribution("q_uniform", "multiples of q", ENDS, _rounded(_uniform), STEP),
        Distribution("log_uniform_values", "uniform in the logarithm", ENDS, _log_uniform),
        Distribution(
            "q_log_uniform_values",
            "uniform in the logarithm, then to multiples of q",
            ENDS,
            _rounded(_log_uniform),
            STEP,
        ),
        Distribution(
            "inv_log_uniform_values", "uniform in the logarithm of 1/x", ENDS, _log_uniform
        ),
        Distribution("normal", "normal", (), _normal, SPREAD),
        Distribution(
            "q_normal", "normal, to multiples of q", (), _rounded(_normal), SPREAD | STEP
        ),
        Distribution("log_normal", "normal in the logarithm", (), _log_normal, SPREAD),
        Distribution(
            "q_log_normal",
            "normal in the logarithm, then to multiples of q",
            (),
            _rounded(_log_normal),
            SPREAD | STEP,
        ),
        Distribution("beta", "the beta distribution on 0 to 1", (), _beta, SHAPE),
        Distribution("q_beta", "beta, to multiples of q", (), _rounded(_beta), SHAPE | STEP),
        Distribution(
            "log_uniform",
            "exp of uniform numbers from min to max",
            ENDS,
            _exponents,
            old="log_uniform_values",
        ),
        Distribution(
            "q_log_uniform",
            "exp of uniform numbers, to multiples of q",
            ENDS,
            _rounded(_exponents),
            STEP,
            old="q_log_uniform_values",
        ),
        Distribution(
            "inv_log_uniform",
            "exp of minus uniform numbers from min to max",
            ENDS,
            _inverse_exponents,
            old="inv_log_uniform_values",
        ),
    ],
)
