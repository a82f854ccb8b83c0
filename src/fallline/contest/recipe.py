"""The settings of each training of a comparison, layer by layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fallline.training.layers import Layer, preset_layer
from fallline.training.resolve import without_idle

FOR_ALL: Final = {"data.validate_on": "val", "track.pictures": False}
"""Choices are made on val, whatever the base does."""


@dataclass(frozen=True)
class Recipe:
    """What all trainings share.

    Attributes:
        base: the preset below everything.
        data: the image set; None: the preset's.
        settings: the user's, by dotted key, the same for all; what a model or an optimizer does
            not take is left out there.
    """

    base: str
    data: str | None
    settings: Mapping[str, Any]

    def layers(self, workload: str, optimizer: str) -> list[Layer]:
        """The layers that decide all but length, searched settings and seed."""
        below = self._below(workload, optimizer)
        return [*below, without_idle(below, self._own)[0]]

    def idle(self, workload: str, optimizer: str) -> tuple[str, ...]:
        """The user's settings that this pair does not take."""
        return without_idle(self._below(workload, optimizer), self._own)[1]

    def only(self, keys: Collection[str]) -> Layer:
        """Some of the user's settings."""
        return Layer("settings", {k: v for k, v in self.settings.items() if k in keys})

    @property
    def _own(self) -> Layer:
        return Layer("settings", self.settings)

    def _below(self, workload: str, optimizer: str) -> list[Layer]:
        chosen = {"model.name": workload, "optim.name": optimizer}
        data = [] if self.data is None else [Layer("--data", {"data.name": self.data})]
        return [
            preset_layer(self.base),
            Layer("every comparison", FOR_ALL),
            *data,
            Layer("comparison", chosen),
        ]
