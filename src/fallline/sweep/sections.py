"""The sections of a sweep file that are W&B's, its parameters aside: read and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from fallline.errors import did_you_mean, unknown_name
from fallline.sweep.findings import Findings
from fallline.sweep.schema import (
    KEYS,
    METRICS,
    REFUSED,
    EarlyTerminate,
    Extension,
    Method,
    Metric,
)
from fallline.sweep.script import DEFAULT_COMMAND, MACROS, Script, unknown_macros

Values = Mapping[str, Any]
TEXTS = ("name", "description", "project", "entity", "program", "apiVersion")


def check_keys(values: Values, found: Findings) -> None:
    """Refuses keys that nobody knows, and by its reason what we cannot do."""
    for key, value in values.items():
        if key in REFUSED:
            found.refuse(
                f"{key} cannot be done here: {REFUSED[key]}", value, next=f"leave out {key}"
            )
        elif key not in KEYS:
            found.refuse("unknown key of a sweep file", key, ", ".join(KEYS), _hint(key, value))
        elif key in TEXTS and not isinstance(value, str):
            found.refuse(f"{key} is no text", repr(value), next=f'write {key}: "{value}"')
    if values.get("controller") not in (None, {"type": "local"}):
        found.refuse(
            "a sweep's controller is chosen where it is run, not in its file",
            f"controller: {values['controller']}",
            "{type: local}",
            "leave it out; with fallline sweep --on wandb, W&B's server is the controller",
        )
    if values.get("kind", "sweep") != "sweep":
        found.refuse("kind is not that of a sweep", values["kind"], "sweep")


def _hint(key: object, value: Any) -> str | None:
    if str(key) in (*Extension.model_fields, "pruner"):
        return f"it is ours, not W&B's: write fallline: {{{key}: {value}}}"
    guess = did_you_mean(str(key), KEYS)
    return f"did you mean {guess}?" if guess else None


def read_method(values: Values, found: Findings) -> Method | None:
    """How configurations are chosen."""
    method, known = values.get("method"), get_args(Method)
    if method in known:
        return method
    if method is None:
        found.refuse("the file names no method", None, ", ".join(known), "method: random")
    elif method == "custom":
        found.refuse(
            "method custom cannot be done here: it is the search of another engine at W&B",
            "method: custom",
            ", ".join(known),
            "method: bayes, with fallline: {sampler: tpe} or {sampler: gp}",
        )
    else:
        found.faults.append(unknown_name("method", str(method), known))
    return None


def read_script(values: Values, found: Findings) -> Script | None:
    """Somebody's own program, where the file names one."""
    command, program = values.get("command"), values.get("program")
    if command is None:
        return None if program is None else Script(str(program))
    if not isinstance(command, list) or not command:
        found.refuse("command is no list of words", repr(command), next=f"{[*DEFAULT_COMMAND]}")
        return Script(program)
    words = tuple(str(word) for word in command)
    known = [*MACROS, "envvar:NAME"]
    found.faults += [unknown_name("macro of command", m, known) for m in unknown_macros(words)]
    if "${program}" in words and program is None:
        found.refuse(
            "command runs ${program}, and the file names none", command, next="program: train.py"
        )
    return Script(program, words)


def read_metric(
    values: Values, method: Method | None, script: Script | None, found: Findings
) -> Metric | None:
    """What is optimized; for runs of ours one of the values that they report."""
    if (stated := values.get("metric")) is None:
        for name in ("method: bayes",) * (method == "bayes") + ("early_terminate",) * (
            "early_terminate" in values
        ):
            hint = "metric: {name: val/accuracy, goal: maximize}"
            found.refuse(f"{name} needs a metric, as at W&B", "no metric", next=hint)
        return None
    if isinstance(stated, Mapping) and stated.get("impute_while_running") is False:
        stated = {**stated, "impute_while_running": "false"}  # YAML reads the word as a bool
    metric = found.section(Metric, "metric", stated)
    if metric is None and isinstance(stated, Mapping) and not script:
        _own(Metric(name=str(stated.get("name", METRICS[0])), goal="maximize"), found)
    if metric and (metric.impute, metric.impute_while_running) != ("worst", "false"):
        found.notes.append(
            "metric: impute and impute_while_running act under W&B's server alone; here a "
            "diverged run counts as the worst, and a failed one not at all"
        )
    return metric if metric is None or script else _own(metric, found)


def _own(metric: Metric, found: Findings) -> Metric:
    """A metric of our runs; val_accuracy is val/accuracy."""
    name = metric.name
    alike = [known for known in METRICS if re.split(r"\W|_", name) == known.split("/")]
    if name not in METRICS and alike:
        found.notes.append(f"metric: {name} was read as {alike[0]}, its name in a run")
        name = alike[0]
    elif name.startswith("test"):
        found.refuse(
            "a sweep chooses on val; test is scored once, when a run ends",
            name,
            ", ".join(METRICS),
        )
    elif name not in METRICS:
        tails = {known.partition("/")[2]: known for known in reversed(METRICS)}
        guess = did_you_mean(name, METRICS) or tails.get(did_you_mean(name, list(tails)) or "")
        hint = f"did you mean {guess}?" if guess else None
        found.refuse("no run reports this metric", name, ", ".join(METRICS), hint)
    if name.endswith("accuracy") and "goal" not in metric.model_fields_set:
        found.refuse(
            "the metric has no goal, and to W&B that means minimize",
            f"metric: {{name: {metric.name}}}",
            "minimize, maximize",
            "write goal: maximize",
        )
    return metric.model_copy(update={"name": name})


def read_early_terminate(values: Values, found: Findings) -> EarlyTerminate | None:
    """W&B's early stopping, with bands that are there."""
    if (value := values.get("early_terminate")) is None:
        return None
    stated = found.section(EarlyTerminate, "early_terminate", value)
    if stated is None:
        return None
    if stated.max_iter and stated.s and stated.min_iter:
        found.notes.append(
            "early_terminate: max_iter and s decide; min_iter does nothing, as at W&B"
        )
    try:
        stated.rule()
    except ValueError as error:
        seen = ", ".join(f"{key}: {part}" for key, part in value.items())
        found.refuse(f"early_terminate {error}", seen, "min_iter, or max_iter and s")
        return None
    return stated


def read_run_cap(values: Values, found: Findings) -> int | None:
    """The most configurations."""
    if values.get("run_cap") is None:
        return None
    cap: int | None = found.number("run_cap", values["run_cap"], whole=True)
    if cap is not None and cap < 1:
        found.refuse("run_cap is less than 1", cap, next="leave it out for no cap")
    return cap
