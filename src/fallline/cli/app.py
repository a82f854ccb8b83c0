"""The commands, each as thin as it can be."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fallline.cli.compare import compare
from fallline.cli.data import app as data_app
from fallline.cli.mistakes import Commands
from fallline.cli.options import AsJson, Configs, Device, Images, Name, Out, Quiet, RunPath, shown
from fallline.cli.sweep import sweep
from fallline.errors import ConfigError
from fallline.records import RunFolder
from fallline.track.terminal import loading, say

if TYPE_CHECKING:
    from fallline.training.layers import Layer
    from fallline.training.life import Run

app = typer.Typer(
    name="fallline",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would double the time that --help takes
    help="Finds the optimizer and the hyperparameters that train your image classifier best.",
    epilog="""\b
    Start here:    fallline train --data digits
    Your images:   fallline train --data FOLDER
    Optimizers:    fallline compare --data FOLDER --dry-run
    A sweep file:  fallline sweep FILE --dry-run
    More of each:  fallline COMMAND --help""",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"fallline {version('fallline')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """What is asked for before a command."""


class TableName(StrEnum):
    """What `fallline list` can list."""

    optimizers = "optimizers"
    models = "models"
    data = "data"
    presets = "presets"
    schedules = "schedules"
    settings = "settings"
    runs = "runs"


@app.command()
def train(
    preset: Annotated[
        str, typer.Argument(metavar="PRESET", help="A recipe; see: fallline list presets")
    ] = "steady",
    data: Images = None,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Any setting; may be repeated."),
    ] = None,
    config: Configs = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Of initial weights, data order and augmentation."),
    ] = None,
    device: Device = None,
    out: Out = Path("runs"),
    name: Name = None,
    quiet: Quiet = False,
    json: AsJson = False,
) -> None:
    """Train one classifier and leave a run folder.

    Settings come from the preset, then --config files, then --set, then the other options:
    later ones win. `fallline list settings` shows every one.

    \b
    fallline train --data digits
    fallline train --data photos.zip --set model=resnet18 --set epochs=20
    fallline train --set optimizer=sam --set optim.rho=0.1 --set lr=0.05
    """
    from fallline.training.layers import preset_layer
    from fallline.training.resolve import resolve

    layers = _layers(config, assign, data, seed, device)
    resolved = resolve([preset_layer(preset), *layers])
    with loading("torch"):  # only now
        from fallline.training.run import begin
    from fallline.training.session import Session

    _exit_by(begin(resolved, out=out, name=name, session=Session(shown(quiet, json))))


@app.command()
def resume(
    run: RunPath,
    data: Annotated[
        str | None,
        typer.Option(
            "--data", "-d", metavar="PATH", help="Where its images are, if they were moved."
        ),
    ] = None,
    quiet: Quiet = False,
    json: AsJson = False,
) -> None:
    """Go on with a run after any kind of stop.

    \b
    fallline resume runs/NAME
    """
    RunFolder.open(run)  # what is no run is told before torch is loaded, here and below
    with loading("torch"):
        from fallline.training.run import resume as go_on

    _exit_by(go_on(run, data=data, show=shown(quiet, json)))


app.command()(sweep)
app.command()(compare)


@app.command("list")
def list_table(
    what: Annotated[TableName, typer.Argument(help="Which table.")],
    name: Annotated[str | None, typer.Argument(help="One of its rows, whole.")] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where runs lie (list runs).")
    ] = Path("runs"),
) -> None:
    """Show a table: everything you may choose, in one line each.

    \b
    fallline list presets
    fallline list optimizers muon           # its settings, ranges and paper
    fallline list settings                  # what --set takes
    """
    from fallline.cli.rows import print_row
    from fallline.cli.tables import print_table

    if name:
        print_row(what.value, name, out)
    else:
        print_table(what.value, out)


@app.command()
def evaluate(
    run: RunPath,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", metavar="DATA", help="Other images of the same classes."),
    ] = None,
    tta: Annotated[
        str,
        typer.Option(
            metavar="VIEWS", help="To be averaged: off, flip (2), flip_shift (6), flip_grid (18)."
        ),
    ] = "off",
    device: Device = "auto",
) -> None:
    """Score a trained classifier, on its own splits or other images.

    It computes in float32: last digits may differ from the run's own.

    \b
    fallline evaluate runs/NAME
    fallline evaluate runs/NAME --data more_photos.zip
    """
    RunFolder.open(run)
    with loading("torch"):
        from fallline.cli.use import print_scores

    print_scores(run, data, tta, device or "auto")


@app.command()
def predict(
    run: RunPath,
    images: Annotated[
        list[Path] | None,
        typer.Argument(metavar="IMAGE...", help="Image files, or folders of them."),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, metavar="N", help="Classes to show for each image.")
    ] = 3,
    device: Device = "auto",
) -> None:
    """Classify image files with what a run trained.

    \b
    fallline predict runs/NAME cat.jpg holiday/
    """
    RunFolder.open(run)
    if not images:
        said = f"fallline predict {run}"
        raise ConfigError("no image is named", seen=said, next=f"{said} IMAGE")
    with loading("torch"):
        from fallline.cli.use import print_predictions

    print_predictions(run, images, top, device or "auto")


@app.command()
def report(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Runs, a sweep, or a folder of runs.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.html", help="Where to write it.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write figures (SVG, PNG) and tables (CSV) there."),
    ] = None,
    open: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write one HTML page on runs, a sweep or a comparison.

    It has the answer, the ranking, curves, every run, and how it was done.

    \b
    fallline report runs/NAME --open
    fallline report runs/A runs/B --out both.html
    fallline report runs/SWEEP --figures figures
    """
    from fallline.cli.report import write

    write(paths, out, figures, open)


@app.command()
def board(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A run folder, or a folder of them.")
    ] = Path("runs"),
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="The one to try first.")
    ] = 6006,
    open: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Optuna's dashboard on a sweep's folder instead.")
    ] = False,
) -> None:
    """Start TensorBoard on the runs, reachable from this machine only.

    \b
    fallline board --open
    fallline board runs/SWEEP --sweep       # Optuna's dashboard
    """
    if sweep:
        from fallline.sweep.dashboard import dashboard

        dashboard(path, port=port, open_browser=open)
        return
    from fallline.track.board import board as serve

    serve(path, port=port, open_browser=open)


app.add_typer(data_app, name="data")


def _layers(
    configs: list[Path] | None,
    assign: list[str] | None,
    data: str | None,
    seed: int | None,
    device: str | None,
) -> list[Layer]:
    from fallline.training.layers import Layer, parse_assignments, read_layer

    layers = [read_layer(path) for path in configs or []]
    layers += [parse_assignments(assign)] if assign else []
    options = {"--data": data, "--seed": seed, "--device": device}
    return layers + [
        Layer(option, {option.removeprefix("--"): value})
        for option, value in options.items()
        if value is not None
    ]


def _exit_by(run: Run) -> None:
    if run.outcome.status == "diverged":
        raise typer.Exit(1)
