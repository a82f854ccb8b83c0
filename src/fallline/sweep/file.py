"""A W&B sweep file, read whole: every fault at once, every lenient reading mentioned.

The format is W&B's (its meaning: package sweeps 0.3.0, its client: wandb 0.31), with ours under
the one key `fallline`. `docs/sweeps.md` is the page for users.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from ruamel.yaml import YAML

from fallline.config import SHORT_NAMES, Section
from fallline.errors import ConfigError, FalllineError, Fault, did_you_mean, unknown_name
from fallline.presets.table import PRESETS
from fallline.space import Constant, Space
from fallline.sweep.corners import POINTS, Corners
from fallline.sweep.definition import SweepFile, changes
from fallline.sweep.document import Document, read_document
from fallline.sweep.hyperband import Hyperband
from fallline.sweep.parameter import Findings, Parameter, parse
from fallline.sweep.points import Grid, draw, listed
from fallline.sweep.pruner import PRUNERS, Pruner
from fallline.sweep.schema import (
    KEYS,
    REFUSED,
    EarlyTerminate,
    Extension,
    Method,
    Metric,
)
from fallline.sweep.script import DEFAULT_COMMAND, MACROS, Script, unknown_macros
from fallline.training.resolve import Layer, faults_of, preset_layer, read_layer, resolve

__all__ = ["SweepFile", "changes", "read"]

METRICS = ("val/accuracy", "val/loss", "train/accuracy", "train/loss")
"""What every evaluated epoch of a run reports."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
S = TypeVar("S", bound=Section)


def read(source: str | Path | Mapping[str, Any], *, layers: Sequence[Layer] = ()) -> SweepFile:
    """Reads a sweep file, or the same as a mapping. Raises ConfigError with every fault there is.

    Args:
        source: the path of a YAML file, or its content.
        layers: settings over the file's base: the command line's --data and --set.
    """
    document = _of_mapping(source) if isinstance(source, Mapping) else read_document(Path(source))
    return _Reading(document).result(layers)


def _of_mapping(values: Mapping[str, Any]) -> Document:
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(dict(values), text)
    return Document(text.getvalue(), dict(values), Path())


class _Reading:
    """One file under examination; each method reads one section and notes what it finds."""

    def __init__(self, document: Document) -> None:
        self.values = document.values
        self.folder = document.folder
        self.text = document.text
        self.found = Findings(notes=list(document.notes))
        self.config: dict[str, Any] = {}  # as W&B is sent it
        self.parameters: dict[tuple[str, ...], Parameter] = {}

    def result(self, given: Sequence[Layer]) -> SweepFile:
        """The sweep. Raises ConfigError with all faults."""
        self._top()
        method, script = self._method(), self._script()
        extension, pruner = self._extension(script)
        metric, rule = self._metric(script, method), self._early_terminate()
        run_cap = self._run_cap()
        self._parameters(self.values.get("parameters"), script)
        self._together(method, extension, pruner)
        words = self._words(script)
        space = {key: self.parameters[path].dimension for key, path in words.items()}
        layers = () if script else self._layers(extension or Extension(), given, space)
        if method == "grid":
            self._grid(words)
        if not script and space:
            self._settings(method, space, layers, extension or Extension())
        if self.found.faults or method is None or extension is None:
            raise ConfigError(list(dict.fromkeys(self.found.faults)))
        sweep = SweepFile(
            text=self.text,
            name=self.config.get("name"),
            method=method,
            metric=metric,
            space=space,
            words=words,
            early_terminate=rule,
            run_cap=run_cap,
            script=script,
            extension=extension,
            pruner=pruner,
            layers=layers,
            config=self.config,
            notes=tuple(dict.fromkeys(self.found.notes)),
        )
        if sweep.cap is not None and method != "grid":
            self.config["run_cap"] = sweep.cap
        return sweep

    def _fault(
        self, what: str, seen: Any = None, allowed: str | None = None, next: str | None = None
    ) -> None:
        self.found.faults.append(Fault(what, None if seen is None else str(seen), allowed, next))

    def _top(self) -> None:
        """Keys that nobody knows, or that we cannot do; the others go to W&B as they are."""
        for key, value in self.values.items():
            if key in REFUSED:
                self._fault(f"{key} cannot be done here: {REFUSED[key]}", next=f"leave out {key}")
            elif key not in KEYS:
                guess = did_you_mean(str(key), KEYS)
                if str(key) in Extension.model_fields or key == "pruner":
                    hint: str | None = f"write it under fallline:, as fallline: {{{key}: {value}}}"
                else:
                    hint = f"did you mean {guess}?" if guess else None
                self._fault("unknown key of a sweep file", key, ", ".join(KEYS), hint)
            elif key not in ("fallline", "controller"):
                self.config[key] = value
        if self.values.get("controller") not in (None, {"type": "local"}):
            self._fault(
                "the controller of a sweep is chosen where it is run, not in its file",
                f"controller: {self.values['controller']}",
                "{type: local}",
                "leave out controller; W&B's server controls with: fallline sweep --on wandb",
            )
        for key in ("name", "description", "project", "entity", "program"):
            if key in self.config and not isinstance(self.config[key], str):
                self._fault(f"{key} is no text", repr(self.config[key]))
        if self.values.get("kind", "sweep") != "sweep":
            self._fault("kind is not that of a sweep", self.values["kind"], "sweep")

    def _method(self) -> Method | None:
        method = self.values.get("method")
        known = get_args(Method)
        if method in known:
            return method
        if method is None:
            self._fault(
                "the file names no method", allowed=", ".join(known), next="method: random"
            )
        elif method == "custom":
            self._fault(
                "method custom cannot be done here: it is the search of another engine at W&B",
                allowed=", ".join(known),
                next="method: bayes, with fallline: {sampler: tpe} or {sampler: gp}",
            )
        else:
            self.found.faults.append(unknown_name("method", str(method), known))
        return None

    def _script(self) -> Script | None:
        command, program = self.values.get("command"), self.values.get("program")
        if command is None:
            return Script(program) if program is not None else None
        if not isinstance(command, list) or not command:
            self._fault("command is no list of words", repr(command), next=f"{DEFAULT_COMMAND}")
            return Script(program)
        words = tuple(str(word) for word in command)
        for macro in unknown_macros(words):
            known = [*MACROS, "envvar:NAME"]
            self.found.faults.append(unknown_name("macro of command", macro, known))
        if "${program}" in words and program is None:
            self._fault(
                "command has ${program}, and there is no program", next="program: train.py"
            )
        return Script(program, words)

    def _section(self, kind: type[S], where: str, values: Any) -> S | None:
        """A section of the file, checked; numbers written as text are read as numbers."""
        if not isinstance(values, Mapping):
            keys = ", ".join(kind.model_fields)
            self._fault(f"{where} is no mapping", repr(values), f"{keys} and their values")
            return None
        numbers = {
            key: self.found.number(f"{where}.{key}", value)
            for key, value in values.items()
            if key in getattr(kind, "NUMBERS", ()) and isinstance(value, str)
        }
        if None in numbers.values():
            return None
        try:
            return kind.model_validate({**values, **numbers})
        except ValidationError as error:
            prefix = f"{where}."
            known = [prefix + name for name in kind.model_fields]
            self.found.faults += faults_of(error, prefix, known)
            return None

    def _extension(self, script: Script | None) -> tuple[Extension | None, Pruner | None]:
        values = self.values.get("fallline")
        if values is None:
            return Extension(), None
        if not isinstance(values, Mapping):
            self._fault("fallline is no mapping", repr(values), ", ".join(Extension.model_fields))
            return None, None
        rest = dict(values)
        if isinstance(budget := rest.get("budget"), Mapping):
            rest["budget"] = self._budget(budget)
        pruner = self._pruner(rest.pop("pruner")) if "pruner" in rest else None
        extension = self._section(Extension, "fallline", rest)
        for key in Extension.OWN_RUNS if script else ():
            if key in rest:
                self._fault(
                    f"fallline.{key} says nothing to a script",
                    f"{key}: {rest[key]}, and program or command",
                    next=f"leave it out, or leave out program to sweep {'fallline itself'}",
                )
        return extension, pruner

    def _budget(self, budget: Mapping[str, Any]) -> dict[str, Any]:
        numbers = ("trials", "epochs", "device_hours")
        return {
            key: self.found.number(f"fallline.budget.{key}", value)
            if key in numbers and isinstance(value, str)
            else value
            for key, value in budget.items()
        }

    def _pruner(self, value: Any) -> Pruner | None:
        """`median`, or `{median: {n_warmup_steps: 2}}`, or `{name: median, n_warmup_steps: 2}`."""
        if isinstance(value, str):
            value = {"name": value}
        if isinstance(value, Mapping) and len(value) == 1 and "name" not in value:
            ((name, arguments),) = value.items()
            value = {"name": name, **(arguments or {})}
        if not isinstance(value, Mapping) or "name" not in value:
            self._fault("fallline.pruner names no pruner", repr(value), ", ".join(PRUNERS.names))
            return None
        arguments = {k: v for k, v in value.items() if k != "name"}
        name = str(value["name"])
        if name not in PRUNERS:
            self.found.faults.append(unknown_name("pruner", name, PRUNERS.names))
            return None
        section = self._section(PRUNERS[name].arguments, f"fallline.pruner.{name}", arguments)
        return Pruner(name, section.model_dump()) if section else None

    def _metric(self, script: Script | None, method: Method | None) -> Metric | None:
        values = self.values.get("metric")
        if values is None:
            if method == "bayes" or "early_terminate" in self.values:
                self._fault(
                    f"{'early_terminate' if method != 'bayes' else 'method bayes'} needs a metric",
                    "no metric",
                    next="metric: {name: val/accuracy, goal: maximize}",
                )
            return None
        if isinstance(values, Mapping) and values.get("impute_while_running") is False:
            values = {**values, "impute_while_running": "false"}
        metric = self._section(Metric, "metric", values)
        if metric is None or script:
            return metric
        metric = self._own_metric(metric)
        self.config["metric"] = metric.model_dump(exclude_unset=True)
        return metric

    def _own_metric(self, metric: Metric) -> Metric:
        """A metric of our runs; val_accuracy is val/accuracy."""
        name = metric.name
        alike = [known for known in METRICS if re.split(r"\W|_", name) == known.split("/")]
        if name not in METRICS and alike:
            self.found.notes.append(f"metric: {name} was read as {alike[0]}, its name in a run")
            name = alike[0]
        elif name.startswith("test"):
            self._fault(
                "a sweep chooses on val; test is scored once, when a run ends",
                f"metric {name}",
                ", ".join(METRICS),
            )
        elif name not in METRICS:
            tails = {known.partition("/")[2]: known for known in reversed(METRICS)}
            guess = did_you_mean(name, METRICS) or tails.get(did_you_mean(name, list(tails)) or "")
            hint = f"did you mean {guess}?" if guess else None
            self._fault("no run reports this metric", name, ", ".join(METRICS), hint)
        if name.endswith("accuracy") and "goal" not in metric.model_fields_set:
            self._fault(
                "the metric has no goal, and W&B takes that for minimize",
                name,
                "minimize, maximize",
                "goal: maximize",
            )
        return metric.model_copy(update={"name": name})

    def _early_terminate(self) -> Hyperband | None:
        values = self.values.get("early_terminate")
        if values is None:
            return None
        stated = self._section(EarlyTerminate, "early_terminate", values)
        if stated is None:
            return None
        self.config["early_terminate"] = stated.model_dump(exclude_unset=True)
        try:
            if stated.max_iter is not None and stated.s is not None:
                if stated.min_iter is not None:
                    self.found.notes.append(
                        "early_terminate: max_iter and s decide; min_iter does nothing, as at W&B"
                    )
                return Hyperband.downwards(stated.max_iter, stated.s, stated.eta, stated.strict)
            if stated.min_iter is not None and stated.max_iter is None:
                return Hyperband.upwards(stated.min_iter, stated.eta, stated.strict)
        except ValueError as error:
            self._fault(f"early_terminate: {error}", dict(values), next="raise max_iter")
            return None
        self._fault(
            "early_terminate does not say where its bands are",
            ", ".join(f"{k}: {v}" for k, v in values.items()),
            "min_iter, or max_iter and s",
        )
        return None

    def _run_cap(self) -> int | None:
        value = self.values.get("run_cap")
        if value is None:
            return None
        cap = self.found.number("run_cap", value, whole=True)
        if cap is not None and cap < 1:
            self._fault("run_cap is less than 1", value)
        self.config["run_cap"] = cap
        return cap  # type: ignore[no-any-return]

    def _parameters(self, values: Any, script: Script | None) -> None:
        """Reads all parameters, in W&B's order: sorted by name, nested ones within their group."""
        if not isinstance(values, Mapping) or not values:
            self._fault(
                "the file has no parameters",
                None if values is None else repr(values),
                "names, each with value, values, or min and max",
                "parameters: {learning_rate: {values: [0.01, 0.1]}}",
            )
            return
        self.config["parameters"] = self._group(values, (), script)

    def _group(
        self, group: Mapping[Any, Any], above: tuple[str, ...], script: Script | None
    ) -> dict[str, Any]:
        sent: dict[str, Any] = {}
        for name in sorted(group, key=str):
            path, entry = (*above, str(name)), group[name]
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                allowed = "letters, digits, and _ . -, not starting with a digit"
                self._fault("this cannot be a parameter's name", repr(name), allowed)
            elif isinstance(entry, Mapping) and list(entry) == ["parameters"]:
                inner = entry["parameters"]
                if isinstance(inner, Mapping) and inner:
                    sent[name] = {"parameters": self._group(inner, path, script)}
                else:
                    self._fault(f"{'.'.join(path)}.parameters holds none", repr(inner))
            else:
                parameter = parse(".".join(path), entry, self.found, script=script is not None)
                if parameter:
                    self.parameters[path] = parameter
                    sent[name] = dict(parameter.parts)
        return sent

    def _words(self, script: Script | None) -> dict[str, tuple[str, ...]]:
        """Where each key stands in the file; two names of one setting are a fault."""
        words: dict[str, tuple[str, ...]] = {}
        for path in self.parameters:
            word = ".".join(path)
            key = word if script else SHORT_NAMES.get(word, word)
            if key in words:
                self._fault(
                    f"two parameters are the setting {key}",
                    f"{'.'.join(words[key])} and {word}",
                    next="leave one out",
                )
            words[key] = path
        return words

    def _together(
        self, method: Method | None, extension: Extension | None, pruner: Pruner | None
    ) -> None:
        """What single sections cannot know."""
        if pruner and "early_terminate" in self.values:
            self._fault(
                "both early_terminate and a pruner would stop runs",
                f"early_terminate, and fallline.pruner: {pruner.name}",
                next="leave one out",
            )
        if extension and "sampler" in extension.model_fields_set and method in ("grid", "random"):
            self._fault(
                f"method {method} has no sampler",
                f"fallline.sampler: {extension.sampler}",
                next="method: bayes, or leave out the sampler",
            )

    def _grid(self, words: Mapping[str, tuple[str, ...]]) -> None:
        for path in words.values():
            dimension = self.parameters[path].dimension
            try:
                listed(dimension)
            except ValueError:
                self._fault(
                    "a grid needs parameters whose values can be listed",
                    f"{'.'.join(path)}: {dimension}",
                    "value, values (without probabilities), int_uniform, q_uniform",
                    "list its values, or take method: random",
                )

    def _layers(
        self, extension: Extension, given: Sequence[Layer], space: Space
    ) -> tuple[Layer, ...]:
        """The settings below a configuration; where they are faulty, the default ones instead."""
        try:
            layers = [*self._base(extension), *given]
            resolve(layers)
        except FalllineError as error:
            self.found.faults += error.faults
            return (preset_layer(Extension().base),)
        for layer in layers[1:]:
            for word in layer.values:
                key = SHORT_NAMES.get(word, word)
                if key in space:
                    self._fault(
                        f"{key} is both set and searched",
                        f"{layer.origin}, and parameters",
                        next="leave it out of one",
                    )
        if extension.seeds > 1 and "seed" in space:
            self._fault(
                "seed is a parameter, and fallline.seeds repeats configurations over seeds",
                f"seeds: {extension.seeds}",
                next="leave one out",
            )
        return tuple(layers)

    def _base(self, extension: Extension) -> Iterator[Layer]:
        base = extension.base
        if base in PRESETS:
            yield preset_layer(base)
        elif Path(base).suffix in (".yaml", ".yml", ".json"):
            layer = read_layer(self.folder / base)
            yield Layer(f"base {base}", layer.values)
        else:
            fault = unknown_name("preset", base, PRESETS.names, "or a .yaml or .json file")
            raise ConfigError(fault)
        if extension.data is not None:
            yield Layer("fallline.data", {"data.name": self._place(extension.data)})
        if extension.holdout is not None:
            yield Layer("fallline.holdout", {"data.holdout": extension.holdout})

    def _place(self, data: str) -> str:
        """A path in the file is relative to the file's folder."""
        beside = self.folder / Path(data).expanduser()
        return str(beside) if beside.exists() else data

    def _settings(
        self,
        method: Method | None,
        space: Space,
        layers: Sequence[Layer],
        extension: Extension,
    ) -> None:
        """Holds the space against what runs accept."""
        try:
            points = Grid(space)[:POINTS] if method == "grid" else None
        except ValueError:
            points = None
        draws = (draw(space, extension.seed, number) for number in islice(count(), POINTS))
        corners = Corners(space, layers)
        self.found.faults += corners.faults(draws if points is None else points)
        for key, rows in corners.idle_sometimes().items():
            if key not in corners.idle_everywhere() and not isinstance(space[key], Constant):
                self.found.notes.append(
                    f"{key} is left out where the optimizer or model does not take it: "
                    f"{', '.join(rows)}"
                )
