"""Every preset. One is a function of no arguments that returns a complete config.

Its docstring is its record: what it is for, source, command, expected accuracy with spread and n,
time and hardware. Adding one: a function in a file here, a row in PRESETS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fallline.config import RunConfig
from fallline.presets.fast import best, fast70, fast80, fast90
from fallline.presets.gpu import fast94, fast95, fast96
from fallline.presets.mlp import mlp60, mlp70
from fallline.presets.neutral import neutral
from fallline.presets.steady import steady
from fallline.registry import Table


@dataclass(frozen=True)
class Preset:
    """A row: `build` returns the config; the first line of its docstring is the summary."""

    name: str
    build: Callable[[], RunConfig]

    @property
    def summary(self) -> str:
        """One line for `fallline list presets`."""
        return (self.build.__doc__ or "").splitlines()[0]


PRESETS = Table(
    "preset",
    [
        Preset(build.__name__, build)
        for build in (
            steady,
            fast70,
            fast80,
            fast90,
            best,
            mlp60,
            mlp70,
            fast94,
            fast95,
            fast96,
            neutral,
        )
    ],
    shown_by="fallline list presets",
)
