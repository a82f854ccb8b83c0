"""Which options an optimizer takes, with those of the optimizer inside it, and their check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError, create_model

from fallline.config import Section
from fallline.errors import ConfigError, Fault, did_you_mean
from fallline.optim.row import OptimizerRow
from fallline.optim.table import row
from fallline.space import Space
from fallline.values import value_fault

Values = dict[str, Any]


def options_schema(name: str, options: Mapping[str, Any] | None = None) -> type[Section]:
    """The options that optimizer `name` takes, given those already chosen.

    SAM and ASAM take the options of their `base` beside their own (one both have, like Adadelta's
    `rho`, is `base_rho` for the base); Muon takes those of its `rest` as `rest_lr` and so on.
    Raises ConfigError for a name, base or rest that is none.
    """
    outer = row(name)
    if outer.inner is None:
        return outer.options
    chosen = dict(options or {})
    inner = chosen.get(outer.inner, outer.options.model_fields[outer.inner].default)
    check_inner(outer, inner)
    return _merged(name, inner, options_schema(inner, chosen))


def held_by(name: str, options: Mapping[str, Any]) -> Iterator[tuple[str, str, set[str]]]:
    """The optimizers inside `name`, outermost first, given the options already chosen.

    For each: the option that names it, the name, and the options that do not depend on it.
    Raises ConfigError for a name that is none.
    """
    outer, owned = row(name), set[str]()
    while outer.inner is not None:
        owned |= outer.options.model_fields.keys()
        default = outer.options.model_fields[outer.inner].default
        inner = str(options.get(outer.inner, default))
        yield outer.inner, inner, owned
        outer = row(inner)


def search_space(name: str, inner: str | None = None) -> Space:
    """What a search of optimizer `name` tries by default, by the names that its options have.

    Args:
        name: as in the config.
        inner: the optimizer inside it: SAM's `base`, whose whole space is searched beside rho;
            Muon's `rest`, whose rate is. None: the default one.

    Raises ConfigError for a name, base or rest that is none.
    """
    outer = row(name)
    if outer.inner is None:
        return outer.space
    inner = inner or outer.options.model_fields[outer.inner].default
    check_inner(outer, inner)
    theirs = search_space(inner)
    searched = theirs if outer.wraps else {"lr": theirs["lr"]}
    return {_merged_name(outer, k): v for k, v in searched.items()} | dict(outer.space)


def check_options(name: str, options: Mapping[str, Any]) -> Section:
    """The complete options of optimizer `name`; raises ConfigError with every fault at once."""
    schema = options_schema(name, options)
    try:
        return schema.model_validate(dict(options))
    except ValidationError as error:
        raise ConfigError([_fault(name, schema, e) for e in error.errors()]) from error


def split_options(outer: OptimizerRow, values: Values) -> tuple[Values, Values]:
    """The options of the optimizer itself, and those of the optimizer inside it."""
    own = {k: v for k, v in values.items() if k in outer.options.model_fields}
    prefix = f"{outer.inner}_"
    return own, {k.removeprefix(prefix): v for k, v in values.items() if k not in own}


def check_inner(outer: OptimizerRow, name: object) -> None:
    """Raises ConfigError unless `outer` can hold the optimizer `name`."""
    inner = row(str(name))
    holds = not (inner.wraps or inner.calls_closure_again or inner.averages)
    if holds and (outer.wraps or inner.inner is None):
        return
    raise ConfigError(
        f"{outer.name} cannot hold this optimizer as its {outer.inner}",
        seen=inner.name,
        allowed="one that takes one gradient per step and trains the weights it is judged by"
        if outer.wraps
        else "adamw, sgd",
    )


@lru_cache
def _merged(outer: str, inner: str, inner_schema: type[Section]) -> type[Section]:
    base = row(outer)
    fields: dict[str, Any] = {}
    for name, info in inner_schema.model_fields.items():
        fields[_merged_name(base, name)] = (info.rebuild_annotation(), info)
    return create_model(f"{outer}_{inner}", __base__=base.options, **fields)


def _merged_name(outer: OptimizerRow, option: str) -> str:
    """What an option of the optimizer inside `outer` is called beside those of `outer`."""
    clash = option in outer.options.model_fields or not outer.wraps
    return f"{outer.inner}_{option}" if clash else option


def _fault(name: str, schema: type[Section], error: Any) -> Fault:
    if error["type"] != "extra_forbidden":
        return value_fault(error, schema, "optim.")
    where = ".".join(map(str, error["loc"]))
    taken = sorted(schema.model_fields)
    guess = did_you_mean(where, taken)
    return Fault(
        f"optim.{where} is no option of {name}",
        seen=repr(error["input"]),
        allowed=", ".join(taken),
        next=f"did you mean {guess}?" if guess else None,
    )
