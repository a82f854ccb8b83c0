"""One entry of a sweep file's `parameters`: which distribution it states, and its dimension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fallline.errors import Fault, did_you_mean, unknown_name
from fallline.space import Dimension
from fallline.sweep.distribution import DISTRIBUTIONS, ENDS, Distribution, Parts
from fallline.sweep.findings import Findings, number_of


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
    low, high = (parts.get(key) for key in ENDS)
    if low is not None and high is not None and low > high:
        seen = f"min: {low}, max: {high}"
        findings.refuse(f"parameter {name}: min is above max", seen, next="exchange them")
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
        if str(word) in DISTRIBUTIONS:
            return DISTRIBUTIONS[str(word)]
        fault = unknown_name(f"distribution of parameter {name}", str(word), DISTRIBUTIONS.names)
        guess = did_you_mean(str(word), DISTRIBUTIONS.names)
        if guess and (instead := DISTRIBUTIONS[guess].old):  # nobody means exponents of e
            fault = replace(fault, next=f"did you mean {instead}?")
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
    guesses = [did_you_mean(str(key), ("value", "values", "min", "max")) for key in entry]
    guess = next(filter(None, guesses), None)
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
    ends = [number_of(entry[key]) for key in ENDS]
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
            findings.refuse(
                f"parameter {name}: {row.name} needs {key}", seen, next=f"add {key}: ..."
            )


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
                hint = f"write {key}: [{value}]" if value else None
                findings.refuse(f"{where} is no list", repr(value), "a list of one or more", hint)
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
    if script or not isinstance(value, str) or not {"e", "."} & set(value.lower()):
        return value
    number = number_of(value)
    return value if number is None else findings.number(where, value)
