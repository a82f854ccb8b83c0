"""What is wrong with settings: what pydantic finds, in the four parts that every message has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from fallline.config import SHORT_NAMES, RunConfig, field_names
from fallline.errors import Fault, did_you_mean
from fallline.models.table import MODELS, ModelRow
from fallline.optim.row import OptimizerRow
from fallline.optim.table import OPTIMIZERS
from fallline.values import value_fault

SETTINGS: Final = "fallline list settings"
_ROWS: Final[Mapping[str, tuple[str, Iterable[ModelRow | OptimizerRow]]]] = {
    "model": ("fallline list models", MODELS),
    "optim": ("fallline list optimizers", OPTIMIZERS),
}


def setting_names() -> list[str]:
    """Every dotted key and short name there is, options of models and optimizers among them."""
    options = [
        f"{section}.{name}"
        for section, (_, rows) in _ROWS.items()
        for row in rows
        for name in row.options.model_fields
    ]
    return [*options, *field_names(), *SHORT_NAMES]


def unknown_setting(key: str) -> Fault | None:
    """The fault of a word that names no setting; options of a row are not looked at."""
    known, section = setting_names(), key.partition(".")[0]
    is_option = "." in key and SHORT_NAMES.get(section, section).partition(".")[0] in _ROWS
    if is_option or any(f"{name}.".startswith(f"{key}.") for name in known):
        return None
    return _unknown_setting(key, known, SETTINGS)


def faults_of(
    error: ValidationError,
    schema: type[BaseModel],
    prefix: str,
    known: Sequence[str],
    shown_by: str = SETTINGS,
) -> list[Fault]:
    """Pydantic's findings in our four parts.

    Args:
        error: the findings.
        schema: what was validated.
        prefix: what stands before its keys ("optim.").
        known: the keys there are, for a suggestion in the place of one that is not.
        shown_by: the command that lists them.
    """
    faults = []
    for found in error.errors(include_url=False):
        if found["type"] == "extra_forbidden":
            key = prefix + ".".join(map(str, found["loc"]))
            faults.append(_unknown_setting(key, known, shown_by))
        else:
            faults.append(value_fault(found, schema, prefix))
    return list(dict.fromkeys(faults))  # a field of several kinds is found wrong once for each


def option_faults(
    error: ValidationError, schema: type[BaseModel], section: str, row: str
) -> list[Fault]:
    """What is wrong with the options of a model or optimizer; names the rows that have one."""
    command, _ = _ROWS[section]
    own = type(getattr(RunConfig(), section)).model_fields
    known = [f"{section}.{name}" for name in dict.fromkeys([*schema.model_fields, *own])]
    shown_by = f"{command} {row}"
    unfit = {
        key: Fault(f"unknown setting of {row}", key, ", ".join(known), f"{hint}; see: {shown_by}")
        for found in error.errors(include_url=False)
        if (hint := _takers(key := f"{section}.{found['loc'][0]}"))
        and found["type"] == "extra_forbidden"
    }
    faults = faults_of(error, schema, f"{section}.", known, shown_by)
    return [unfit.get(fault.seen or "", fault) for fault in faults]


def rows_with(key: str) -> dict[str, FieldInfo]:
    """The models or optimizers that have an option ("optim.rho"), each with its field."""
    section, _, option = key.partition(".")
    rows = _ROWS[section][1] if section in _ROWS else ()
    return {row.name: f for row in rows if (f := row.options.model_fields.get(option))}


def _takers(key: str) -> str:
    """Which rows have an option, in words; empty where none has."""
    names = list(rows_with(key))
    more = ", ..." if len(names) > 4 else ""
    return f"a setting of {', '.join(names[:4])}{more}" if names else ""


def _unknown_setting(key: str, known: Sequence[str], shown_by: str) -> Fault:
    """Its neighbours are the settings of its section; a word without one may be from any."""
    section, _, word = key.rpartition(".")
    section = SHORT_NAMES.get(section, section).removesuffix(".name")  # optimizer.lr: optim.lr
    near = [name for name in known if name.rpartition(".")[0] == section]
    candidates = {name.rpartition(".")[2]: name for name in (near if section else known)}
    guess = did_you_mean(word, list(candidates))
    if guess:
        return Fault("unknown setting", key, next=f"did you mean {candidates[guess]}?")
    whole = None if near else did_you_mean(key, known)
    hint = f"did you mean {whole}?" if whole else f"see them all with: {shown_by}"
    return Fault("unknown setting", key, ", ".join(near) or None, hint)
