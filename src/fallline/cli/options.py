"""Options that several commands take, with the words that tell of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Address = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="The Ray cluster's head (--on ray).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")]
Configs = Annotated[
    list[Path] | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="YAML or JSON of settings; later files win."
    ),
]
Device = Annotated[
    str | None, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:1 or mps.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and how long it takes.")
]
Images = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="DATA",
        help="cifar10 (the default), digits, ... or a folder or archive of images.",
    ),
]
Name = Annotated[
    str | None, typer.Option("--name", "-n", metavar="NAME", help="The name of that folder.")
]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="FOLDER", help="Gets a folder with the results.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Workers = Annotated[
    str, typer.Option("--workers", "-w", metavar="N", help="Trainings at a time, or auto.")
]


def shown(quiet: bool, json: bool) -> Literal["auto", "quiet", "json"]:
    """The way to show that `--quiet` and `--json` ask for."""
    return "json" if json else "quiet" if quiet else "auto"
