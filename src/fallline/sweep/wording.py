"""What a person reads of a sweep: its values, trials, beginning and end as text."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from fallline.compare.estimate import Estimate
from fallline.sweep.backend import Ended, Lost, Task
from fallline.sweep.coordinator import Result as TaskResult
from fallline.sweep.definition import SweepFile
from fallline.sweep.plan import bands
from fallline.sweep.results import Result, Trial
from fallline.sweep.scene import Scene, ended
from fallline.track.terminal import clean
from fallline.track.wording import NOTHING, clock

SPARKS: Final = "▁▂▃▄▅▆▇█"
SPARK_CELLS: Final = 16
SHOWN: Final = 5  # of the best in a summary


def header(scene: Scene) -> list[str]:
    """The lines above a sweep: what is searched, how, and where it runs."""
    at_a_time = f"{scene.slots} training{'s' * (scene.slots != 1)} at a time"
    before = ended(scene.before)
    done = f", {before} trials are done already" * (before > 0)
    return [
        f"sweep      {clean(scene.name)}",
        *described(scene.file),
        f"runs       {at_a_time}{done}",
        f"folder     {clean(str(scene.folder))}",
    ]


def described(file: SweepFile) -> list[str]:
    """What a file searches, and how."""
    objective, seeds = file.objective, file.extension.seeds
    cap = "no end" if file.cap is None else f"{file.cap:,} configurations"
    facts = {
        "method": f"{file.method}, {cap}" + f", {seeds} seeds" * (seeds > 1),
        "metric": f"{objective.name}, {objective.goal}" if objective else "",
        "stops": _rule(file),
    }
    lines = [f"{name:<9}  {clean(text)}" for name, text in facts.items() if text]
    for place, (key, dimension) in enumerate(file.space.items()):
        words = clean(f"{'.'.join(file.words[key])}: {dimension}")
        lines.append(f"{'space' * (place == 0):<9}  {words}")
    return lines + [f"{'note':<9}  {clean(note)}" for note in file.notes]


def ended_line(scene: Scene, task: Task, result: TaskResult) -> str:
    """A training that has ended, in one line."""
    trial, seed = scene.trial(task), int(task.trial["seed"])
    name = f"trial {trial.number:>4}" + f" seed {seed}" * (scene.file.extension.seeds > 1)
    if isinstance(result, Ended) and seed in trial.values:
        how = number(trial.values[seed], scene.file)
    elif isinstance(result, Ended):
        how = result.outcome.status
    else:
        how = "lost" if isinstance(result, Lost) else trial.status if seed == 0 else "failed"
    reason = f"  {_first_line(trial.reason)}" if trial.reason and seed == 0 else ""
    return f"{name}  {how:>10}  {settings(scene.file, trial)}{reason}"


def summary(scene: Scene, result: Result) -> list[str]:
    """The lines below a sweep: why it ended, the best, what became of the rest, what next."""
    counts = Counter(trial.status for trial in result.trials)
    told = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    lines = [f"{clean(result.ending)}: {told}"]
    for place, trial in enumerate(result.ranking[:SHOWN]):
        worth_ = worth(trial.score, scene.file)
        words = f"trial {trial.number:<4} {worth_:<10}  {settings(scene.file, trial)}"
        lines.append(f"{'best' * (place == 0):<9}  {words}")
    lines += [f"{'run':<9}  {result.best.path}"] if result.best else []
    lines.append(f"{'time':<9}  {clock(scene.meter.seconds)}, {scene.meter.epochs:.4g} epochs")
    lines += [f"{'next':<9}  {words}" for words in _what_goes_on(scene.again, result)]
    folder = shlex.quote(str(scene.folder))
    pages = [f"report {folder} --open", f"board {folder}"]
    shown = pages[:1] if scene.file.script else pages  # scripts have no events
    return [*lines, *(f"{'next':<9}  fallline {page}" for page in shown)]


def _what_goes_on(command: str, result: Result) -> list[str]:
    """What the same command does from here on, if it does anything."""
    again = sum(trial.again for trial in result.trials)
    tried = f"tries the {again} again that failed last or were lost"
    match result.kind:
        case "signal" | "failures":
            return [f"{command} goes on from here" + f", and {tried}" * (again > 0)]
        case "budget":
            return [f"with a larger budget in its file, {command} goes on from here"]
        case "finished" if again:
            return [f"{command} {tried}"]
    return []


def last_line(scene: Scene, result: Result) -> str:
    """The best of a sweep in one line."""
    if result.best is None:
        return f"{clean(result.ending)}: no trial completed, {scene.folder}"
    score = worth(result.best.score, scene.file)
    return f"{score}  {settings(scene.file, result.best)}  {result.best.path}"


def worth(score: Estimate | None, file: SweepFile) -> str:
    """A score in words: 81.20% ± 0.31% (n = 3); the 95 % interval is as wide on either side."""
    if score is None:
        return NOTHING
    mean = number(score.mean, file)
    return mean if score.half is None else f"{mean} ± {number(score.half, file)} (n = {score.n})"


def number(value: float, file: SweepFile) -> str:
    """A value of the metric: accuracies of our own runs in percent."""
    percent = file.script is None and file.objective and file.objective.name.endswith("accuracy")
    return f"{value:.2%}" if percent else f"{value:.5g}"


def sparkline(values: Sequence[float]) -> str:
    """A curve in a few characters, from its least value to its greatest."""
    shown = [value for value in values if math.isfinite(value)][-SPARK_CELLS:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((value - low) * scale)] for value in shown)


def settings(file: SweepFile, trial: Trial) -> str:
    """What varies of a trial's configuration and is taken, under the names of the file."""
    idle = () if file.script else file.apply(trial.parameters)[1]
    shown = [key for key in file.searched if key not in idle]
    named = {".".join(file.words[key]): trial.parameters[key] for key in shown}
    return clean(" ".join(f"{name}={_short(value)}" for name, value in named.items()))


def _first_line(text: str) -> str:
    return clean((text.splitlines() or [""])[0])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rule(file: SweepFile) -> str:
    if file.early_terminate is not None:
        shown = ", ".join(map(str, bands(file)[:4]))
        where = f"at bands {shown}" if shown else "whose first band no run reaches"
        return f"hyperband, {where}, one in {file.early_terminate.eta:g} passes"
    return f"Optuna's {file.pruner.name} pruner" if file.pruner else ""
