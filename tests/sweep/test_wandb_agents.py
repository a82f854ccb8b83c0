"""Agents of W&B's in this process, beside a server that is a list of answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fallline.errors import ConfigError
from fallline.sweep import wandb_agents
from fallline.sweep.search import SweepSearch
from fallline.sweep.wandb_agents import Agents, Offer
from fallline.sweep.wandb_control import _Kept
from fallline.sweep.wandb_server import SweepPath


@dataclass
class Server:
    """Answers heartbeats in order, then with nothing; what is an exception is raised.

    Attributes:
        answers: the commands of each heartbeat.
        told: the run that each heartbeat named.
    """

    answers: list[Any] = field(default_factory=list)
    told: list[str | None] = field(default_factory=list)

    def register(self, path: SweepPath, host: str) -> str:
        return "agent"

    def heartbeat(self, agent: str, run: str | None) -> list[dict[str, Any]]:
        self.told.append(run)
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        return list(answer)


@pytest.fixture
def agents_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Agents]]:
    """Agents of a server, which beat a hundred times a second."""
    monkeypatch.setattr(wandb_agents, "SECONDS_BETWEEN_HEARTBEATS", 0.01)
    made: list[Agents] = []

    def make(server: Any, receive: Callable[[Offer], None]) -> Agents:
        made.append(Agents(server, SweepPath("e", "p", "s"), receive))
        return made[-1]

    yield make
    for agents in made:
        agents.close()
        agents._thread.join()


def soon(is_so: Callable[[], object]) -> object:
    """What it returns as soon as that is something."""
    end = time.monotonic() + 20
    while not (found := is_so()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def test_a_run_of_an_earlier_life_is_named_and_can_be_stopped(agents_of: Any) -> None:
    server = Server([[{"type": "stop", "run_id": "old"}]])
    agents = agents_of(server, [].append)
    agents.adopt("old")
    agents.adopt("old")
    assert soon(lambda: agents.stops("old"))
    assert server.told[0] == "old"
    agents.done("old")
    agents.want()
    assert soon(lambda: server.told[-1] is None)


OFFER = {"type": "run", "run_id": "r", "args": {"lr": {"value": 0.1}}}


def test_an_answer_that_makes_no_sense_is_asked_for_again(agents_of: Any) -> None:
    offers: list[Offer] = []
    server = Server([TypeError("None is no mapping"), [{"type": "run"}], [OFFER]])
    agents_of(server, offers.append).want()
    assert soon(lambda: offers) == [Offer("r", {"lr": 0.1})]


def test_a_run_that_was_offered_is_on_record_at_once(agents_of: Any, tmp_path: Path) -> None:
    """W&B offers it once: a kill before its trial has begun must not lose it."""
    file, path = tmp_path / "wandb.json", SweepPath("e", "p", "s")
    agents_of(Server([[OFFER]]), _Kept(file, path, []).add).want()
    assert soon(file.exists)
    assert _Kept.read(file) == _Kept(file, path, [Offer("r", {"lr": 0.1})])


def test_a_run_that_cannot_be_trained_has_ended_for_its_controller(
    small: dict[str, Any], open_search: Callable[..., SweepSearch], monkeypatch: pytest.MonkeyPatch
) -> None:
    search, ended = open_search(small), list[int]()

    def refuse(number: int, values: Any, seed: int) -> None:
        raise ConfigError("no such setting")

    monkeypatch.setattr(search._control, "task", refuse)
    monkeypatch.setattr(search._control, "ended", ended.append)
    with pytest.raises(ConfigError):
        search.ask()
    assert ended == [0]
