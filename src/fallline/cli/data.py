"""`fallline data`: fetch, check and show the image sets on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The image sets on this machine."
)

Name = Annotated[str, typer.Argument(metavar="DATA", help="A name, a folder or an archive.")]


@app.command()
def fetch(name: Name) -> None:
    """Download and decode an image set, so that no run waits for it."""
    from fallline.data import load
    from fallline.track.terminal import clean, drawn_progress, say

    images = load(name, progress=drawn_progress("auto"))
    counts = {"train": images.train, "val": images.val, "test": images.test}
    told = ", ".join(f"{len(split):,} {word}" for word, split in counts.items() if split)
    channels, height, width = images.shape
    say(f"{clean(images.name)}: {told} images of {height} x {width} x {channels}")
    say(clean(f"{len(images.classes)} classes: {', '.join(images.classes[:20])}"))
    for note in images.notes:
        say(clean(f"note: {note}"))


@app.command()
def check() -> None:
    """Read every decoded set in the cache: which are damaged?"""
    from fallline.data import cached_sets, check_cached
    from fallline.data.cache import Stale
    from fallline.errors import DataError
    from fallline.track.terminal import clean, say

    damaged, found = 0, cached_sets()
    for cached in found:
        try:
            check_cached(cached.path)
        except Stale as error:
            say(clean(f"old      {cached.path}: {error}; delete it where nobody has that version"))
        except DataError as error:
            damaged += 1
            say(f"DAMAGED  {error}")
        else:
            say(clean(f"whole    {cached.name}  {cached.path}"))
    if not found:
        say("no set has been decoded yet: fallline data fetch DATA")
    if damaged:
        raise typer.Exit(1)


@app.command()
def show() -> None:
    """List the decoded sets in the cache."""
    from fallline.cli.tables import print_grid
    from fallline.data import cached_sets

    lines = [
        (
            cached.name or "unreadable",
            f"{cached.images:,}",
            " x ".join(map(str, cached.shape)),
            _size(cached.bytes),
            cached.source,
            f"{cached.path}: {cached.fault}" if cached.fault else str(cached.path),
        )
        for cached in cached_sets()
    ]
    columns = ("set", "images", "height x width x channels", "size", "made from", "file")
    print_grid(columns, lines, wrap=False)


def _size(count: int) -> str:
    """Bytes in the largest unit that they fill: 640 KiB, 1.2 GiB."""
    size, units = float(count), ["bytes", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:,.1f} {units[0]}" if size < 10 and size % 1 else f"{size:,.0f} {units[0]}"
