"""Every place where a sweep may run. Adding one: a class that is a `Place`, and a row below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fallline.errors import ConfigError
from fallline.registry import Table, load

if TYPE_CHECKING:
    from fallline.sweep.backend import Place
    from fallline.sweep.control import Controller


@dataclass(frozen=True)
class PlaceRow:
    """A row.

    Attributes:
        name: the word for `--on`.
        summary: one line.
        place: "module:name" of what opens backends there.
        takes: the options it is built with.
        controller: "module:name" of who controls sweeps there; None: the file does.
        controller_takes: the options that one is built with.
    """

    name: str
    summary: str
    place: str
    takes: tuple[str, ...] = ("workers",)
    controller: str | None = None
    controller_takes: tuple[str, ...] = ()

    def build(self, options: Mapping[str, Any]) -> tuple[Place, Controller | None]:
        """The place and who controls it, from options that are set.

        Raises ConfigError for one that means nothing here.
        """
        for name in options:
            if name not in (*self.takes, *self.controller_takes):
                fit = [row.name for row in PLACES if name in (*row.takes, *row.controller_takes)]
                raise ConfigError(
                    f"--{name} means nothing to a sweep on {self.name}",
                    seen=f"--{name} {options[name]}",
                    next=f"add --on {fit[0]}" if fit else None,
                )
        place: Place = load(self.place)(**_some(options, self.takes))
        if self.controller is None:
            return place, None
        controller: Controller = load(self.controller)(**_some(options, self.controller_takes))
        return place, controller


def _some(options: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in names}


PLACES: Table[PlaceRow] = Table(
    "place to run a sweep",
    [
        PlaceRow("local", "processes of this machine", "fallline.sweep.local:Local"),
        PlaceRow(
            "ray",
            "a Ray cluster (--address HOST:PORT), else a Ray that is started here",
            "fallline.sweep.ray_place:RayCluster",
            ("workers", "address"),
        ),
        PlaceRow(
            "wandb",
            "processes of this machine, for the W&B server, which chooses and stops",
            "fallline.sweep.local:Local",
            controller="fallline.sweep.wandb_control:WandbController",
            controller_takes=("join",),
        ),
    ],
)
