"""A sweep under W&B's server: created there or joined, its runs trained and shown here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from fallline.config import TrackConfig
from fallline.errors import ConfigError, Fault, RunError
from fallline.storage import write_atomically
from fallline.sweep.backend import Task
from fallline.sweep.definition import SweepFile
from fallline.sweep.file import read
from fallline.sweep.study import Study
from fallline.sweep.tasks import TaskMaker
from fallline.sweep.wandb_agents import Agents, Offer
from fallline.sweep.wandb_server import Server, SweepPath
from fallline.track.terminal import tell
from fallline.training.resolve import resolve

NAME: Final = "wandb.json"  # in the sweep's folder


@dataclass(frozen=True)
class WandbController:
    """W&B's server as the controller; `join` is ENTITY/PROJECT/ID of a sweep that is there."""

    join: str | None = None

    def take(self, file: SweepFile, begin: Callable[[], Study], folder: Path) -> WandbControl:
        """Creates the sweep on the server, or joins it, as this folder may have done before."""
        _refuse_what_is_ours(file)
        from fallline.track.wandb import access

        means = access()
        server = Server(means.url, means.key)
        kept = _Kept.read(folder / NAME)
        path = SweepPath.parse(self.join) if self.join else kept.path if kept else None
        if kept is not None and kept.path != path:
            raise RunError(
                "the sweep's folder belongs to another sweep of W&B",
                seen=f"{kept.path} in {folder / NAME}",
                allowed=str(path),
                next="choose another --name, or --new",
            )
        if path is None:
            entity = file.config.get("entity") or means.entity
            project = file.config.get("project") or _track_of(file).wandb_project
            path = server.create(file.wandb_config(), entity, project)
        else:
            _check_same(file, server.config_of(path), path)
        kept = kept or _Kept(folder / NAME, path, [])
        kept.write()
        tell(f"W&B: {means.pages.rstrip('/')}/{path.entity}/{path.project}/sweeps/{path.sweep}")
        tell(f"other machines join with: --on wandb --join {path}")
        return WandbControl(
            Agents(server, path, kept.add), kept, TaskMaker(file, folder.name, folder)
        )


class WandbControl:
    """Configurations and stops come from W&B; the study here keeps them on record."""

    def __init__(self, agents: Agents, kept: _Kept, tasks: TaskMaker) -> None:
        self._agents, self._kept, self._tasks = agents, kept, tasks
        self.rule, self.out = _Stops(agents, kept), tasks.out
        self._begun = 0  # of the runs offered

    @property
    def is_waiting(self) -> bool:
        """Until W&B says that there are no more runs, and those that it offered have begun."""
        return not self._agents.is_over or len(self._kept.offers) > self._begun

    def propose(self, number: int) -> Mapping[str, Any] | None:
        """The next run that W&B wants; None: it was asked for one, and has not answered yet."""
        offers = self._kept.offers
        self._begun = min(number + 1, len(offers))
        if number == len(offers):
            self._agents.want()
            return None
        return self._tasks.file.from_nested(offers[number].config)

    def task(self, number: int, values: Mapping[str, Any], seed: int) -> Task:
        """The training of a run of W&B's, logged there under the sweep."""
        task = self._tasks(number, values, seed)
        path, nested = self._kept.path, self._tasks.file.nested(values)
        run = {"entity": path.entity, "project": path.project, "sweep": path.sweep}
        run["run"] = self._kept.offers[number].run
        self._agents.adopt(run["run"])
        track = {**task.config["track"], "wandb": "online", "wandb_project": path.project}
        return replace(
            task,
            config={**task.config, "track": track},
            trial={**task.trial, "wandb": {**run, "parameters": nested}},
            obeys=True,
        )

    def ended(self, number: int) -> None:
        """Its agent may have another run."""
        self._agents.done(self._kept.offers[number].run)

    def close(self) -> None:
        """W&B hears no more from here."""
        self._agents.close()


class _Stops:
    """The rule: a run ends where W&B has asked for it."""

    def __init__(self, agents: Agents, kept: _Kept) -> None:
        self._agents, self._kept = agents, kept

    def add(self, number: int, epoch: int, value: float) -> None:
        """W&B has it."""

    def forget(self, number: int) -> None:
        """W&B knows."""

    def judge(self, number: int, epoch: int, value: float) -> str | None:
        """Whether W&B's early stopping, or somebody on its page, wants the run to end."""
        if self._agents.stops(self._kept.offers[number].run):
            return f"W&B asked to stop it, at epoch {epoch}"
        return None


@dataclass(frozen=True)
class _Kept:
    """Which sweep of W&B's a folder belongs to, and the runs that W&B has offered here."""

    file: Path
    path: SweepPath
    offers: list[Offer]  # a trial's is at its number

    @classmethod
    def read(cls, file: Path) -> _Kept | None:
        if not file.exists():
            return None
        told = json.loads(file.read_text())
        return cls(file, SweepPath.parse(told["sweep"]), [Offer(**run) for run in told["runs"]])

    def add(self, offer: Offer) -> None:
        """Puts a run on record as soon as W&B offers it."""
        self.offers.append(offer)
        self.write()

    def write(self) -> None:
        told = {"sweep": str(self.path), "runs": [asdict(offer) for offer in self.offers]}
        write_atomically(self.file, json.dumps(told, indent=2) + "\n")


def _refuse_what_is_ours(file: SweepFile) -> None:
    """What W&B's server does not know of cannot be under its control."""
    extension, faults = file.extension, []
    if file.script is not None:
        faults.append(("a program of your own", "wandb agent runs it"))
    if file.pruner is not None:
        faults.append(("fallline.pruner", "early_terminate is what W&B stops by"))
    if extension.seeds > 1:
        faults.append((f"fallline.seeds: {extension.seeds}", "make seed a parameter"))
    if extension.budget.trials is not None:
        faults.append(("fallline.budget.trials", "run_cap is what W&B counts by"))
    if faults:
        what = "with --on wandb the server decides; this is not in its hands"
        raise ConfigError([Fault(what, seen=s, next=f"{n}, or use --on local") for s, n in faults])


def _track_of(file: SweepFile) -> TrackConfig:
    """The tracking that all runs of a sweep have in common."""
    return resolve(file.layers).config.track


def _check_same(file: SweepFile, config: Mapping[str, Any], path: SweepPath) -> None:
    """Raises ConfigError unless the sweep that is joined means what the file means."""
    there = read(config, below=file.layers)
    parts = ("method", "metric", "space", "early_terminate")
    faults = [
        Fault(
            f"the file and the sweep {path} differ in {part}",
            seen=str(getattr(file, part)),
            allowed=str(getattr(there, part)),
            next="use the file that the sweep was made of",
        )
        for part in parts
        if getattr(file, part) != getattr(there, part)
    ]
    if faults:
        raise ConfigError(faults)
