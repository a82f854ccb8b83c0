"""A W&B server on loopback that controls a sweep: it hands out runs, stops them, and says exit."""

from __future__ import annotations

import itertools
import json
import sys
import threading
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parents[1] / "track"))
from wandb_stub import Stub

EPOCHS_UNTIL_STOPPED = 4000


class SweepStub(Stub):
    """Hands out the points of the sweep's grid; a run of very many epochs is stopped.

    Attributes:
        sweeps: the file of each sweep, as it was sent.
        runs: the configuration of each run that was handed out.
        ended: runs that an agent no longer names.
        warnings: what it finds fault with in a file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sweeps: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.ended: set[str] = set()
        self.warnings: list[str] = []
        self.agents: dict[str, str | None] = {}  # and the run each is at
        self._points: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def operate(self, operation: str, body: dict[str, Any]) -> Any:
        with self._lock:
            match operation:
                case "UpsertSweep":
                    return self._create(body["variables"])
                case "Sweep":
                    config = self.sweeps.get(body["variables"]["sweep"])
                    found = config and {"state": "RUNNING", "config": config}
                    return {"project": {"sweep": found}}
                case "CreateAgent":
                    name = f"agent{len(self.agents)}"
                    self.agents[name] = None
                    return {"createAgent": {"agent": {"id": name}}}
                case "Heartbeat":
                    told = body["variables"]
                    commands = self._commands(told["id"], json.loads(told["runState"]))
                    answer = {"agent": {"id": told["id"]}, "commands": json.dumps(commands)}
                    return {"agentHeartbeat": answer}
            return super().operate(operation, body)

    def _create(self, told: dict[str, Any]) -> Any:
        name = f"sweep{len(self.sweeps)}"
        self.sweeps[name] = told["config"]
        config = YAML(typ="safe", pure=True).load(told["config"])
        stated = config["parameters"].items()
        values = {k: p["values"] if "values" in p else [p["value"]] for k, p in stated}
        self._points = [
            dict(zip(values, point, strict=True)) for point in itertools.product(*values.values())
        ]
        project = {"name": told["projectName"] or "p", "entity": {"name": "e"}}
        made = {"sweep": {"name": name, "project": project}}
        return {"upsertSweep": made | {"configValidationWarnings": self.warnings}}

    def _commands(self, agent: str, running: dict[str, bool]) -> list[dict[str, Any]]:
        before = self.agents[agent]
        if before is not None and before not in running:
            self.ended.add(before)
            self.agents[agent] = None
        self.agents[agent] = next(iter(running), self.agents[agent])
        if self.agents[agent] is not None:
            return self._stop(before or "")
        if len(self.runs) == len(self._points):
            return [{"type": "exit"}]
        run = f"run{len(self.runs)}"
        point = self.runs[run] = self._points[len(self.runs)]
        self.agents[agent] = run
        args = {name: {"value": value} for name, value in point.items()}
        return [{"type": "run", "run_id": run, "args": args, "program": "none"}]

    def _stop(self, run: str) -> list[dict[str, Any]]:
        """Early stopping: no run needs so many epochs, once another one has ended."""
        if self.runs[run]["epochs"] >= EPOCHS_UNTIL_STOPPED and self.ended:
            return [{"type": "stop", "run_id": run}]
        return []
