"""The command line. Commands import what they need when they run: `--help` loads no torch."""

from __future__ import annotations

import sys

from fallline.cli.app import app
from fallline.errors import FalllineError
from fallline.track.terminal import clean, tell

__all__ = ["main"]


def main() -> None:
    """Runs the command line. Errors a person can mend: message on stderr, exit code 2."""
    try:
        app()
    except FalllineError as error:
        count = len(error.faults)
        heading = "fallline: " if count == 1 else f"fallline: {count} faults\n"
        lines = (heading + "\n".join(f"{fault}" for fault in error.faults)).split("\n")
        tell("\n".join(map(clean, lines)))  # names in archives and files are anybody's
        sys.exit(2)
