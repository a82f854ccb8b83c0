"""A sweep as its file states it: typed, checked, and ready to draw configurations from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fallline.config import RunConfig
from fallline.space import Constant, Space
from fallline.sweep.hyperband import Hyperband
from fallline.sweep.points import Grid, Values, draw
from fallline.sweep.pruner import Pruner
from fallline.sweep.schema import Extension, Method, Metric
from fallline.sweep.script import Script
from fallline.training.layers import Layer
from fallline.training.resolve import Resolved, resolve, without_idle

FREE = ("name", "description", "project", "entity", "run_cap")
"""W&B keys that decide neither configurations nor their values."""
NOT_DECIDING = ("threads", "device", "checkpoint_seconds", "keep_weights")
"""Settings of `train` that do not either, but for the last digits."""


@dataclass(frozen=True)
class SweepFile:
    """A sweep as its file states it.

    Attributes:
        text: the file, verbatim.
        name: the sweep's name, or None.
        method: grid, random or bayes.
        metric: what is optimized, or None where the file does not say.
        space: every parameter, constants among them, by dotted key; the order is W&B's.
        words: where each key stands in the file: ("optimizer",) for optim.name.
        early_terminate: W&B's hyperband, or None.
        run_cap: the most configurations, or None.
        script: somebody's own program, whose parameters are no settings of ours, or None.
        extension: what stands under `fallline:`.
        pruner: one of Optuna's, by choice, or None.
        layers: the settings that a configuration is laid over: base, data, command line.
        config: what W&B is to be sent.
        notes: what was understood leniently, and what a person should know.
    """

    text: str
    name: str | None
    method: Method
    metric: Metric | None
    space: Space
    words: Mapping[str, tuple[str, ...]]
    early_terminate: Hyperband | None
    run_cap: int | None
    script: Script | None
    extension: Extension
    pruner: Pruner | None
    layers: tuple[Layer, ...]
    config: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def objective(self) -> Metric | None:
        """What a run is judged by: the metric, else for runs of ours the accuracy on val."""
        if self.metric or self.script:
            return self.metric
        return Metric(name="val/accuracy", goal="maximize")

    @property
    def searched(self) -> Space:
        """The parameters that vary."""
        return {key: d for key, d in self.space.items() if not isinstance(d, Constant)}

    @cached_property
    def grid(self) -> Grid:
        """Every point, for method grid."""
        return Grid(self.space)

    @property
    def cap(self) -> int | None:
        """The most configurations there will be; None: no end but the budget's."""
        sizes = [self.run_cap, self.extension.budget.trials]
        sizes += [len(self.grid)] if self.method == "grid" else []
        return min((size for size in sizes if size is not None), default=None)

    def point(self, number: int) -> Values:
        """The configuration of trial `number`, from 0, by dotted key; bayes decides by itself.

        Raises IndexError past the end of a grid.
        """
        return self.grid[number] if self.method == "grid" else self.draw(number)

    def draw(self, number: int) -> Values:
        """The random configuration of that number."""
        return draw(self.space, self.extension.seed, number)

    def apply(self, values: Mapping[str, Any]) -> tuple[Layer, tuple[str, ...]]:
        """A configuration as settings, and the keys left out of it.

        Left out are options that the drawn optimizer or model does not take (momentum, for adam).
        Configurations with equal settings are the same training.
        """
        return without_idle(self.layers, Layer("sweep", values))

    def resolve(self, values: Mapping[str, Any], *above: Layer) -> Resolved:
        """The complete config of a configuration, with the layers `above` over it (a seed)."""
        return resolve([*self.layers, self.apply(values)[0], *above])

    def nested(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A configuration under the names of the file, as W&B has it in a run's config."""
        config: dict[str, Any] = {}
        for key, value in values.items():
            *groups, word = self.words[key]
            place = config
            for group in groups:
                place = place.setdefault(group, {})
            place[word] = value
        return config

    def from_nested(self, config: Mapping[str, Any]) -> Values:
        """A configuration by dotted key, from one that W&B sent; its other entries are not ours.

        Raises KeyError if a parameter is missing.
        """
        values: Values = {}
        for key, path in self.words.items():
            place: Any = config
            for word in path:
                place = place[word]
            values[key] = place
        return values

    def wandb_config(self) -> dict[str, Any]:
        """The sweep as W&B is sent it: without our extension, its numbers numbers."""
        return deepcopy(dict(self.config))

    @cached_property
    def identity(self) -> dict[str, str]:
        """What decides the configurations and their values, flat: to say what has changed.

        Caps, budgets and names are not part of it: a sweep may go on with others.
        """
        own = {"budget", "per_device"} | (
            {"base", "data", "holdout"} if not self.script else set()
        )
        parts: dict[str, Any] = {k: v for k, v in self.config.items() if k not in FREE}
        parts["fallline"] = self.extension.model_dump(mode="json", exclude=own)
        parts["fallline"]["pruner"] = self.pruner and {self.pruner.name: self.pruner.arguments}
        if not self.script:
            parts["settings"] = _deciding(resolve(self.layers).config)
        return dict(_flat(parts))

    @property
    def fingerprint(self) -> str:
        """A digest of the identity."""
        text = json.dumps(self.identity, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _deciding(config: RunConfig) -> dict[str, Any]:
    """The settings that decide what a training comes to; images are known by a fingerprint too."""
    plain = config.model_dump(mode="json", exclude={"track": True, "train": set(NOT_DECIDING)})
    plain["data"]["name"] = Path(config.data.name).name
    return plain


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What differs between two identities, in words."""
    keys = sorted({*before, *after})
    return [
        f"{key}: {before.get(key, 'not there')} -> {after.get(key, 'not there')}"
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        pairs = [_flat(v, f"{prefix}.{k}" if prefix else str(k)) for k, v in value.items()]
        return [pair for part in pairs for pair in part]
    return [(prefix, json.dumps(value, default=str))]
