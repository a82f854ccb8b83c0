"""`fallline compare`: which optimizer wins, by how much, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fallline.cli.options import (
    Address,
    AsJson,
    Configs,
    DryRun,
    Images,
    Name,
    Out,
    Quiet,
    Workers,
    shown,
)
from fallline.cli.sweep import place_of
from fallline.errors import ConfigError

if TYPE_CHECKING:
    from fallline.sweep.backend import Place


def compare(
    optimizers: Annotated[
        str, typer.Option("--optimizers", metavar="A,B,C", help="Two or more, with commas.")
    ] = "sgd,adam,adamw,rmsprop,adagrad,sam,muon",
    configs: Annotated[
        int, typer.Option(metavar="N", help="Configurations tried for each optimizer, 3 or more.")
    ] = 12,
    seeds: Annotated[
        int, typer.Option(metavar="N", help="Fresh seeds the best of each is repeated on.")
    ] = 5,
    budget: Annotated[
        str,
        typer.Option(
            metavar="LENGTH", help="Of each training: 2ep, 500steps, 1000grads, 30s, 5min."
        ),
    ] = "2ep",
    data: Images = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="What is trained; default: the base's."),
    ] = None,
    workloads: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Several models instead of one.")
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="A setting that is not searched."),
    ] = None,
    config: Configs = None,
    base: Annotated[
        str, typer.Option(metavar="PRESET", help="Has all settings that nothing else sets.")
    ] = "neutral",
    targets: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Accuracies to time: 0.6,0.7.")
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of tuning; repeats have the next ones.")
    ] = 0,
    out: Out = Path("runs"),
    name: Name = None,
    workers: Workers = "auto",
    on: Annotated[str, typer.Option(metavar="local|ray", help="Where trainings run.")] = "local",
    address: Address = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: AsJson = False,
) -> None:
    """Find which optimizer trains best, by how much, and how surely.

    Each optimizer is tuned on the same budget (chosen on val), its best configuration repeated
    on fresh seeds that all share, and test touched once. The same command again goes on after
    any kind of stop; more --seeds or --optimizers extend what is there.

    \b
    fallline compare --data digits --optimizers sgd,adamw,muon --configs 3 --seeds 3
    fallline compare --data photos.zip --workloads mlp,convnet --budget 10ep
    fallline compare --budget 1000grads         # SAM pays two gradients a step
    """
    from fallline.contest.design import Wish
    from fallline.contest.dry_run import rehearse
    from fallline.contest.run import carry_out

    wish = Wish(
        optimizers=_words(optimizers),
        data=data,
        workloads=_models(model, workloads),
        settings=_settings(config, assign),
        base=base,
        configs=configs,
        seeds=seeds,
        budget=budget,
        seed=seed,
        targets=_numbers(targets),
    )
    place, show = _place(on, workers, address), shown(quiet, json)
    if dry_run:
        rehearse(wish, out=out, name=name, on=place, show=show)
        return
    found = carry_out(wish, out=out, name=name, on=place, show=show)
    if not found.complete:
        raise typer.Exit(1)


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _models(model: str | None, workloads: str | None) -> list[str]:
    if model and workloads:
        raise ConfigError(
            "--model and --workloads both name the model",
            seen=f"--model {model} --workloads {workloads}",
            next="leave one of them out",
        )
    return [model] if model else _words(workloads)


def _numbers(text: str | None) -> list[float]:
    try:
        return [float(word) for word in _words(text)]
    except ValueError:
        raise ConfigError(
            "--targets are no numbers", seen=text, allowed="accuracies like 0.6,0.7"
        ) from None


def _settings(files: list[Path] | None, assign: list[str] | None) -> dict[str, Any]:
    """Later files win over earlier ones, --set over files."""
    from fallline.training.layers import parse_assignments, read_layer
    from fallline.training.resolve import flatten

    layers = [read_layer(path) for path in files or []]
    layers += [parse_assignments(assign)] if assign else []
    return {key: value for layer in layers for key, value in flatten(layer.values)}


def _place(on: str, workers: str, address: str | None) -> Place:
    place, controller = place_of(on, workers, address)
    if controller is not None:
        raise ConfigError(
            "a comparison chooses its configurations itself",
            seen=f"--on {on}, where the server chooses them",
            allowed="--on local, --on ray",
        )
    return place
