"""`fallline sweep`: a W&B sweep file, anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fallline.cli.options import Address, AsJson, DryRun, Name, Out, Quiet, Workers, shown
from fallline.errors import ConfigError
from fallline.sweep.places import PLACES

if TYPE_CHECKING:
    from fallline.sweep.backend import Place
    from fallline.sweep.control import Controller


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A W&B sweep file (YAML).")],
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", metavar="DATA", help="Images instead of the file's."),
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="A setting that all trials share."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of what random and bayes draw.")
    ] = None,
    out: Out = Path("runs"),
    name: Name = None,
    workers: Workers = "auto",
    on: Annotated[
        str, typer.Option(metavar="|".join(PLACES.names), help="Where trainings run.")
    ] = "local",
    address: Address = None,
    join: Annotated[
        str | None,
        typer.Option(metavar="ENTITY/PROJECT/ID", help="A sweep W&B has already (--on wandb)."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="journal:PATH or postgresql://...; default: SQLite in the folder.",
        ),
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Begin another one where the folder is taken.")
    ] = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    json: AsJson = False,
) -> None:
    """Run a W&B sweep file, or go on with it after any kind of stop.

    The same command again goes on where it was stopped: finished trials stay, interrupted ones
    continue from their checkpoints.

    \b
    fallline sweep sweeps/homework.yaml --data photos.zip
    fallline sweep sweeps/homework.yaml --dry-run
    fallline sweep sweeps/homework.yaml --on ray --address head:6379
    fallline board runs/homework            # TensorBoard on its trials
    """
    from fallline.sweep.dry_run import rehearse
    from fallline.sweep.session import run
    from fallline.training.layers import parse_assignments

    settings = parse_assignments(assign).values if assign else None
    show = shown(quiet, json)
    place, controller = place_of(on, workers, address, join)
    if dry_run:
        rehearse(file, data=data, settings=settings, seed=seed, on=place, show=show)
        return
    result = run(
        file,
        data=data,
        settings=settings,
        seed=seed,
        out=out,
        name=name,
        new=new,
        on=place,
        controller=controller,
        storage=storage,
        show=show,
    )
    if result.kind == "failures" or result.in_vain:
        raise typer.Exit(1)


def place_of(
    on: str, workers: str, address: str | None, join: str | None = None
) -> tuple[Place, Controller | None]:
    """Where trainings run, and who controls them there. Raises ConfigError."""
    given = {"workers": _workers(workers), "address": address, "join": join}
    return PLACES[on].build({k: v for k, v in given.items() if v is not None})


def _workers(text: str) -> int | Literal["auto"]:
    """How many trainings at a time `--workers` asks for. Raises ConfigError."""
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(
            "--workers is no number of workers",
            seen=text,
            allowed="1, 2, ... or auto",
            next="leave it out: auto fits this machine",
        )
    return int(text)
