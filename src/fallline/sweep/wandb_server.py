"""What W&B's agents ask its server, in GraphQL: a protocol that must serve old agents for years.

The wandb package's own functions for it are private and move between releases; these four requests
have been the same since its agents exist.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any, Final

from ruamel.yaml import YAML

from fallline.errors import ConfigError, Fault, RunError

SECONDS_TO_ANSWER: Final = 20.0
_CREATE: Final = """
mutation UpsertSweep($config: String, $entityName: String, $projectName: String) {
  upsertSweep(input: {config: $config, entityName: $entityName, projectName: $projectName}) {
    sweep { name project { name entity { name } } }
    configValidationWarnings
  }
}"""
_LOOK_UP: Final = """
query Sweep($entity: String, $project: String, $sweep: String!) {
  project(name: $project, entityName: $entity) { sweep(sweepName: $sweep) { state config } }
}"""
_REGISTER: Final = """
mutation CreateAgent($host: String!, $projectName: String, $entityName: String, $sweep: String!) {
  createAgent(input: {
    host: $host, projectName: $projectName, entityName: $entityName, sweep: $sweep
  }) { agent { id } }
}"""
_HEARTBEAT: Final = """
mutation Heartbeat($id: ID!, $metrics: JSONString, $runState: JSONString) {
  agentHeartbeat(input: {id: $id, metrics: $metrics, runState: $runState}) {
    agent { id }
    commands
  }
}"""


@dataclass(frozen=True)
class SweepPath:
    """ENTITY/PROJECT/ID."""

    entity: str
    project: str
    sweep: str

    def __str__(self) -> str:
        return f"{self.entity}/{self.project}/{self.sweep}"

    @classmethod
    def parse(cls, text: str) -> SweepPath:
        """Reads ENTITY/PROJECT/ID. Raises ConfigError."""
        parts = text.split("/")
        if len(parts) != 3 or not all(re.fullmatch(r"[\w.-]+( [\w.-]+)*", p) for p in parts):
            raise ConfigError(
                "this is no sweep of W&B",
                seen=text,
                allowed="ENTITY/PROJECT/ID, as W&B shows it",
            )
        return cls(*parts)


class Unanswered(Exception):
    """The server did not answer, or not with what was asked for."""


class SweepGone(Exception):
    """The server knows nothing of the agent any more: the sweep was deleted."""


class Server:
    """A W&B server.

    Args:
        url: where its API is.
        key: the API key.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/") + "/graphql"
        token = base64.b64encode(f"api:{key}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    def create(
        self, config: Mapping[str, Any], entity: str | None, project: str | None
    ) -> SweepPath:
        """Makes a sweep. Raises ConfigError if the server finds fault with it, and RunError."""
        text = StringIO()
        YAML(typ="safe", pure=True).dump(dict(config), text)
        wanted = {"config": text.getvalue(), "entityName": entity, "projectName": project}
        made = self._once(_CREATE, wanted)["upsertSweep"]
        warnings = made.get("configValidationWarnings") or []
        if warnings:
            raise ConfigError([Fault("W&B finds fault with the sweep", seen=w) for w in warnings])
        of = made["sweep"]["project"]
        return SweepPath(of["entity"]["name"], of["name"], made["sweep"]["name"])

    def config_of(self, path: SweepPath) -> dict[str, Any]:
        """The file of a sweep that is there. Raises RunError."""
        names = {"entity": path.entity, "project": path.project, "sweep": path.sweep}
        found = (self._once(_LOOK_UP, names).get("project") or {}).get("sweep")
        if not found:
            raise RunError(
                "W&B knows no such sweep",
                seen=str(path),
                next="copy ENTITY/PROJECT/ID from the sweep's page",
            )
        config: dict[str, Any] = YAML(typ="safe", pure=True).load(found["config"])
        return config

    def register(self, path: SweepPath, host: str) -> str:
        """A new agent of a sweep; its id. Raises Unanswered."""
        wanted = {
            "host": host,
            "entityName": path.entity,
            "projectName": path.project,
            "sweep": path.sweep,
        }
        identity: str = self._ask(_REGISTER, wanted)["createAgent"]["agent"]["id"]
        return identity

    def heartbeat(self, agent: str, running: str | None) -> list[dict[str, Any]]:
        """Says what an agent is at; what the server wants of it: run, stop or exit.

        Raises Unanswered, or SweepGone.
        """
        state = json.dumps({running: True} if running else {})
        answer = self._ask(_HEARTBEAT, {"id": agent, "metrics": "{}", "runState": state})
        commands: list[dict[str, Any]] = json.loads(answer["agentHeartbeat"]["commands"])
        return commands

    def _once(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._ask(query, variables)
        except (Unanswered, SweepGone) as error:
            raise RunError(
                "W&B's server refuses",
                seen=str(error),
                next="check entity and project, and the key: wandb login --verify",
            ) from error

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self._url, body, self._headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    raise SweepGone("not found") from error
                raise Unanswered(f"{error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            raise Unanswered(str(error)) from error
        if answer.get("errors"):
            raise Unanswered("; ".join(str(e.get("message")) for e in answer["errors"]))
        data: dict[str, Any] = answer.get("data") or {}
        return data
