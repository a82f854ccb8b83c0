"""The optimizers of the pytorch_optimizer package by their names there (extra `optimizers`).

Of its 128 names (4.1.0) those are used that hold our contract; the others stand below with the
reason. Names that the table has too mean the table's row. The package's own list of undecayed
parameters misses BatchNorm weights, so parameters are grouped by us. Its default rates are the
papers', not tuned for small image models: set `lr`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache, reduce
from importlib.util import find_spec
from operator import or_
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import create_model

from fallline.config import NonNegative, Positive, Section
from fallline.errors import MissingExtra
from fallline.optim.row import ROLES, OptimizerRow, Role
from fallline.space import LogUniform, Space

_NAMES = """
accsgd adabelief adabound adagc adago adai adalite adamc adamg adamod adams adamwsn adan
adanorm adapnm adasmooth adatam ademamix adopt aggmo aida alice amos ano apollo
avagrad bcos came dadaptadagrad dadaptadam dadaptadan dadaptlion dadaptsgd dash diffgrad
dualadam emofact emolynx emonavi exadam fadam fira flashadamw focus ftrl galore grams gravity
grokfastadamw kate lamb laprop lars lion madgrad mars msvag muonclip normuon novograd padam
pid pnm prodigy qhadam qhm racs ranger rose schedulefreeadamw schedulefreeradam
schedulefreesgd sgdsai sgdw shampoo signsgd simplifiedademamix sm3 soap spam spectralsphere
splus srmm stableadamw stablespam tam tiger vsgd yogi
"""
NAMES = tuple(_NAMES.split())

_SAM_IS_OURS = "its SAM family keeps no BatchNorm statistics and breaks on a NaN: use sam or asam"
_NO_RESUME = "its state does not load with weights_only, so a run could not go on"
_NEEDS_VIEW = "it flattens weights with view, which channels_last ones refuse"
_NEEDS_MODEL = "it takes a whole model and steps inside the backward pass"
_NEEDS_HESSIAN = "it needs second derivatives, which the closure does not keep"

LEFT_OUT = {
    "a2grad": "it has no learning rate to schedule",
    "adahessian": _NEEDS_HESSIAN,
    "adalomo": _NEEDS_MODEL,
    "adammini": _NEEDS_MODEL,
    "adamp": _NEEDS_VIEW,
    "adamuon": _NEEDS_VIEW,
    "adashift": _NO_RESUME,
    "alig": "it sets its rate from the loss and takes none",
    "apollodqn": "its first 500 steps follow no schedule",
    "bsam": _SAM_IS_OURS,
    "conda": _NO_RESUME,
    "demo": "it is for distributed training",
    "distributedmuon": "it is for distributed training",
    "fromage": "its licence forbids commercial use",
    "gsam": _SAM_IS_OURS,
    "kron": "a resumed run differs: part of its state is not saved",
    "lomo": _NEEDS_MODEL,
    "looksam": _SAM_IS_OURS,
    "lorarite": "it is for pairs of low-rank factors",
    "magma": "it wraps another optimizer",
    "nero": "its licence forbids commercial use",
    "ranger21": "it makes its own schedule from the number of steps",
    "sara": "it fine-tunes a few weights of a trained model",
    "scalableshampoo": _NO_RESUME,
    "scion": _NO_RESUME,
    "scionlight": _NO_RESUME,
    "sgdp": _NEEDS_VIEW,
    "sophiah": _NEEDS_HESSIAN,
    "swats": _NEEDS_VIEW,
    "wsam": _SAM_IS_OURS,
}

AVERAGES = {"schedulefreeadamw", "schedulefreeradam", "schedulefreesgd", "splus"}
TAKES: dict[str, tuple[Role, ...]] = {
    "adago": ("matrix", "filter"),
    "muonclip": ("matrix", "filter"),
    "normuon": ("matrix", "filter"),
    "spectralsphere": ("matrix",),
}

# Options that `build` chooses, as it does for torch's own.
CHOSEN = {"params", "foreach", "fused", "capturable", "differentiable", "maximize"}


@lru_cache
def library_row(name: str) -> OptimizerRow:
    """The row of one of NAMES, its options read from its signature.

    Raises MissingExtra if the package is not installed.
    """
    if find_spec("pytorch_optimizer") is None:
        raise MissingExtra("pytorch_optimizer", "optimizers", f"the optimizer {name}")
    from pytorch_optimizer import load_optimizer

    kind = load_optimizer(name)
    takes = TAKES.get(name, ROLES)
    options = _options(name, kind, takes)
    return OptimizerRow(
        name,
        f"{kind.__name__} of the pytorch_optimizer package",
        f"{kind.__module__}:{kind.__qualname__}",
        options,
        "https://pytorch-optimizers.readthedocs.io",
        _space(options),
        averages=name in AVERAGES,
        takes=takes,
        marks={} if takes == ROLES else {"use_muon": True},
        foreach=False,
    )


def _space(options: type[Section]) -> Space:
    """Rates around the default; decay as for Adam where it is an L2 term, else as for AdamW."""
    defaults = {name: field.default for name, field in options.model_fields.items()}
    space = {"lr": LogUniform(defaults["lr"] / 30, defaults["lr"] * 30)}
    if "weight_decay" in defaults:
        decoupled = defaults.get("weight_decouple", True)
        space["weight_decay"] = LogUniform(1e-5, 1e-1) if decoupled else LogUniform(1e-6, 1e-3)
    return space


def _options(name: str, kind: Callable[..., Any], takes: tuple[Role, ...]) -> type[Section]:
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(kind).parameters.values():
        declared = None if parameter.name in CHOSEN else _field(parameter)
        if declared is not None:
            fields[parameter.name] = declared
    if takes != ROLES:
        fields = {k: v for k, v in fields.items() if not k.startswith("adamw_")}
        fields["rest"] = (Literal["adamw", "sgd"], "adamw")
    return create_model(name, __base__=Section, __doc__=f"Options of `{name}`.", **fields)


def _field(parameter: inspect.Parameter) -> tuple[Any, Any] | None:
    """The type and default of an option; None for one that no config file could hold."""
    if parameter.kind is parameter.VAR_KEYWORD or parameter.default is parameter.empty:
        return None
    if parameter.name == "lr":
        return Positive, parameter.default
    if parameter.name == "weight_decay":
        return NonNegative, parameter.default
    annotation = parameter.annotation
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    plain = [part for part in parts if _plain(part)]
    return (reduce(or_, plain), parameter.default) if plain else None


def _plain(kind: Any) -> bool:
    """Whether values of this type can stand in a config file."""
    if get_origin(kind) is tuple:
        return all(part is Ellipsis or _plain(part) for part in get_args(kind))
    return get_origin(kind) is Literal or kind in (bool, int, float, str, NoneType)
