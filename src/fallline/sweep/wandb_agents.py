"""W&B as the controller of a sweep: it chooses configurations and stops runs; they run here.

One process speaks for all agents of this machine, and trainings run where any sweep's do, so a
stop arrives as an answer to an evaluation. W&B's own agents throw an exception into a thread, or
send a signal.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fallline.sweep.wandb_server import Server, SweepGone, SweepPath
from fallline.track.terminal import tell

SECONDS_BETWEEN_HEARTBEATS: Final = 5.0  # as W&B's agents do


@dataclass(frozen=True)
class Offer:
    """A run that W&B wants: its id there, and its configuration under the names of the file."""

    run: str
    config: Mapping[str, Any]


@dataclass
class _Agent:
    """One agent, which has one run at a time; `identity` is W&B's, from its first heartbeat on."""

    run: str | None = None
    identity: str | None = None


class Agents:
    """The agents of this process, each registered when there is room for its first run.

    Args:
        server: the server.
        path: the sweep.
        receive: takes each run that W&B wants at once, in the agents' thread:
            W&B offers it once.
    """

    def __init__(self, server: Server, path: SweepPath, receive: Callable[[Offer], None]) -> None:
        self._server, self._path, self._receive = server, path, receive
        self._agents: list[_Agent] = []
        self._stopped: set[str] = set()
        self._is_wanted = self._is_over = self._is_silent = False
        self._news, self._is_closed = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """W&B has no more runs for us."""
        return self._is_over

    def want(self) -> None:
        """W&B is to be asked for a run, if it is not already."""
        with self._lock:
            if not self._is_wanted and not self._is_over:
                self._is_wanted = True
                self._news.set()

    def adopt(self, run: str) -> None:
        """The run is under way here, whoever was its agent in an earlier life."""
        with self._lock:
            if all(agent.run != run for agent in self._agents):
                self._agents.append(_Agent(run))
                self._news.set()

    def stops(self, run: str) -> bool:
        """Whether W&B wants the run to end."""
        return run in self._stopped

    def done(self, run: str) -> None:
        """The run has ended."""
        with self._lock:
            for agent in self._agents:
                if agent.run == run:
                    agent.run = None
            self._news.set()

    def close(self) -> None:
        """No more heartbeats: W&B takes the agents for gone within minutes."""
        self._is_closed.set()
        self._news.set()

    def _beat(self) -> None:
        while not self._is_closed.is_set():
            self._news.clear()
            try:
                self._heartbeats()
            except SweepGone:
                tell("W&B: the sweep was deleted; what runs here goes on to its end")
                self._is_over = True
            except Exception as error:  # also an answer that makes no sense
                if not self._is_silent:
                    tell(f"W&B does not answer ({error}); trainings go on, and it is asked again")
                self._is_silent = True
            else:
                self._is_silent = False
            self._news.wait(SECONDS_BETWEEN_HEARTBEATS)

    def _heartbeats(self) -> None:
        """One for each agent that is at work, and one that asks for work where that is wanted."""
        for agent in [agent for agent in self._agents if agent.run]:
            self._heartbeat(agent)
        if self._is_wanted and not self._is_over:
            idle = next((agent for agent in self._agents if agent.run is None), None)
            if idle is None:
                idle = _Agent()
                self._agents.append(idle)
            self._heartbeat(idle)

    def _heartbeat(self, agent: _Agent) -> None:
        if agent.identity is None:
            agent.identity = self._server.register(self._path, socket.gethostname())
        for command in self._server.heartbeat(agent.identity, agent.run):
            with self._lock:
                self._obey(agent, command)

    def _obey(self, agent: _Agent, command: Mapping[str, Any]) -> None:
        match command.get("type"):
            case "run" | "resume" if agent.run is None:
                config = {name: entry["value"] for name, entry in command["args"].items()}
                self._receive(Offer(command["run_id"], config))
                agent.run = command["run_id"]
                self._is_wanted = False
            case "stop":
                self._stopped.add(command["run_id"])
            case "exit":
                self._stopped |= {agent.run} if agent.run else set()
                self._is_over = True
