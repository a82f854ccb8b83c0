"""One entry of a sweep file's `parameters`: which distribution it states, and its dimension.

The forms and their meaning are W&B's (package sweeps 0.3.0, config/schema.json and params.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fallline.errors import Fault, did_you_mean, unknown_name
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


@dataclass
class Findings:
    """What reading a file finds: faults that refuse it, notes on what was understood leniently."""

    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def number(self, where: str, value: Any, *, whole: bool = False) -> Any:
        """A finite number, also one written as text; anything else is a fault, and None."""
        number = _number_of(value)
        kind = "a whole number" if whole else "a number"
        if number is None or (whole and number != int(number)):
            self.faults.append(Fault(f"{where} is no number", repr(value), kind))
            return None
        if isinstance(value, str):
            self.notes.append(f"{where}: the text {value!r} was read as the number {number:g}")
        return int(number) if whole else number


@dataclass(frozen=True)
class Parameter:
    """An entry that could be read: its dimension, and its parts as W&B is to be sent them."""

    dimension: Dimension
    parts: Parts


def parse(name: str, entry: Any, findings: Findings, *, script: bool = False) -> Parameter | None:
    """The parameter that an entry states, or None when there are faults.

    Args:
        name: as the file writes it, for messages.
        entry: what stands under the name.
        findings: gets the faults and notes.
        script: values go to a foreign script, which may well want text that looks like a number.
    """
    known = len(findings.faults)
    if not isinstance(entry, Mapping):
        findings.faults.append(_bare(name, entry))
        return None
    distribution = _distribution(name, entry, findings)
    if distribution is None:
        return None
    _check_keys(name, entry, distribution, findings)
    parts = _parts(name, entry, distribution, findings, script)
    if len(findings.faults) > known:
        return None
    if distribution.old:
        findings.notes.append(
            f"{name}: {distribution.name} takes exponents of e and is out of use at W&B; "
            f"{distribution.old} takes the values themselves"
        )
    try:
        dimension = distribution.build({**distribution.may, **parts})
    except (ValueError, OverflowError) as error:
        seen = ", ".join(f"{k}: {v}" for k, v in entry.items())
        findings.faults.append(Fault(f"parameter {name} {error}", seen))
        return None
    return Parameter(dimension, parts)


def _bare(name: str, entry: Any) -> Fault:
    shape = "values" if isinstance(entry, list) else "value"
    return Fault(
        f"parameter {name} states no distribution",
        seen=repr(entry),
        allowed="a mapping: value, values, or min and max (and a distribution)",
        next=f"write {name}: {{{shape}: {entry}}}",
    )


def _distribution(name: str, entry: Parts, findings: Findings) -> Distribution | None:
    """The one that is named, or that W&B infers from the keys."""
    word = entry.get("distribution")
    if word is not None:
        if word in DISTRIBUTIONS:
            return DISTRIBUTIONS[word]
        fault = unknown_name(f"distribution of parameter {name}", str(word), DISTRIBUTIONS.names)
        findings.faults.append(fault)
        return None
    if "value" in entry:
        return DISTRIBUTIONS["constant"]
    if "values" in entry:
        weighted = "probabilities" in entry
        return DISTRIBUTIONS["categorical_w_probabilities" if weighted else "categorical"]
    if "min" in entry and "max" in entry:
        return _by_ends(name, entry, findings)
    keys = ", ".join(map(str, entry)) or "nothing"
    allowed = "value, values, min and max, or a distribution by name"
    guess = next(
        (did_you_mean(str(key), ("value", "values", "min", "max")) for key in entry), None
    )
    findings.faults.append(
        Fault(
            f"parameter {name} states no distribution",
            keys,
            allowed,
            f"did you mean {guess}?" if guess else None,
        )
    )
    return None


def _by_ends(name: str, entry: Parts, findings: Findings) -> Distribution:
    """Whole ends: whole numbers; real ends: real numbers; a mixture: real, and said."""
    ends = [_number_of(entry[key]) for key in ENDS]
    if all(isinstance(end, int) for end in ends):
        return DISTRIBUTIONS["int_uniform"]
    if any(isinstance(end, int) for end in ends):
        findings.notes.append(
            f"{name}: one end is whole and one is not; read as real numbers (uniform). W&B's own "
            f"client refuses this: write {', '.join(f'{k}: {_as_real(entry[k])}' for k in ENDS)}"
        )
    return DISTRIBUTIONS["uniform"]


def _as_real(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value


def _check_keys(name: str, entry: Parts, row: Distribution, findings: Findings) -> None:
    takes = ("distribution", *row.needs, *row.may)
    for key in entry:
        if key not in takes:
            guess = did_you_mean(str(key), takes)
            findings.faults.append(
                Fault(
                    f"parameter {name}: {key} is no key of {row.name}",
                    seen=f"{key}: {entry[key]}",
                    allowed=", ".join(takes),
                    next=f"did you mean {guess}?" if guess else _with_steps(key, row.name),
                )
            )
    for key in row.needs:
        if key not in entry:
            seen = ", ".join(map(str, entry))
            findings.faults.append(Fault(f"parameter {name}: {row.name} needs {key}", seen))


def _with_steps(key: object, name: str) -> str | None:
    return f"write distribution: q_{name}" if key == "q" and f"q_{name}" in DISTRIBUTIONS else None


def _parts(
    name: str, entry: Parts, row: Distribution, findings: Findings, script: bool
) -> dict[str, Any]:
    """The entry's own keys, numbers as numbers; the distribution is named where it was guessed."""
    parts: dict[str, Any] = {}
    for key, value in entry.items():
        where = f"{name}.{key}"
        if key in ("values", "probabilities"):
            if not isinstance(value, list | tuple) or not value:
                findings.faults.append(Fault(f"{where} is no list", repr(value), "at least one"))
            elif key == "values":
                parts[key] = [_value(f"{where}", item, findings, script) for item in value]
            else:
                parts[key] = [findings.number(where, item) for item in value]
        elif key == "value":
            parts[key] = _value(where, value, findings, script)
        elif key in row.needs or key in row.may:
            parts[key] = findings.number(where, value, whole=row.name == "int_uniform")
    if "min" in parts and "distribution" not in entry and row.name == "uniform":
        parts |= {key: _as_real(parts[key]) for key in ENDS if key in parts}
    return {"distribution": entry["distribution"], **parts} if "distribution" in entry else parts


def _value(where: str, value: Any, findings: Findings, script: bool) -> Any:
    """Text like 1e-4, which YAML 1.1 does not read as a number, is one for settings of ours."""
    if script or not isinstance(value, str) or "e" not in value.lower():
        return value
    number = _number_of(value)
    return value if number is None else findings.number(where, value)


def _number_of(value: Any) -> int | float | None:
    """The finite number that a value is or spells, if any."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int):
        return value
    try:
        number = float(value)
    except ValueError:
        return None
    if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
        return int(value)
    return number if math.isfinite(number) else None
