"""Joining a Ray cluster, or starting one here: everything that can be wrong is said in seconds."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from threading import Timer, current_thread, main_thread
from typing import Any, Final

from fallline.errors import ConfigError, MissingExtra, RunError
from fallline.machine import usable_cores
from fallline.track.terminal import tell

SECONDS_TO_ANSWER: Final = 3.0
SECONDS_OF_SILENCE: Final = 5.0
SECONDS_TO_ASK_NODES: Final = 60.0
PORT: Final = 6379  # Ray's own default
HOW_TO: Final = "docs/cluster.md shows a cluster from two machines in three commands"

_STILL: Final = (
    "Ray is not ready yet; if this machine is no node of the cluster at {address}, make it one: "
    "ray start --address={address}"
)

try:
    import ray as ray  # for the backend too, which cannot do without what is set above
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as error:
    raise MissingExtra("ray", "ray", "a sweep on Ray") from error


def connect(address: str | None) -> bool:
    """Joins the cluster at HOST:PORT, or starts Ray on this machine; whether it was started here.

    A Ray that the calling program has joined already is used. Raises RunError, within five
    seconds, when there is no cluster at the address or it does not take us.
    """
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is not None:
        options["address"] = _reachable(address)
    if ray.is_initialized():
        return False
    if address is None:
        options |= {"address": "local", "include_dashboard": False, "num_cpus": usable_cores()}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    is_main = current_thread() is main_thread()  # no other may set handlers
    text = "Ray is starting" if address is None else _STILL.format(address=address)
    waiting = Timer(SECONDS_OF_SILENCE, tell, [text])
    waiting.start()
    try:
        ray.init(**options)
    except Exception as error:  # any: a Ray that starts too slowly raises a plain one
        raise _turned_away(address, error) from error
    finally:
        waiting.cancel()
        for number, handler in handlers.items():  # Ray puts its own in their place
            if is_main and handler is not None:
                signal.signal(number, handler)
    return True


def on_node(identity: str) -> NodeAffinitySchedulingStrategy:
    """Ray's way to say: on that node or not at all."""
    return NodeAffinitySchedulingStrategy(identity, soft=False)


def alive_nodes() -> list[dict[str, Any]]:
    """The nodes of the cluster that are there, as Ray describes them."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in nodes if node["Alive"]]


def check_nodes() -> None:
    """Raises ConfigError that lists every node whose Python, torch or Fallline is not ours."""
    ask, nodes = _question(), alive_nodes()
    here = ask()
    remote = ray.remote(num_cpus=0, max_retries=0)(ask)
    asked = {
        remote.options(scheduling_strategy=on_node(node["NodeID"])).remote(): node
        for node in nodes
    }
    ray.wait(list(asked), num_returns=len(asked), timeout=SECONDS_TO_ASK_NODES)
    wrong = []
    for answer, node in asked.items():
        try:
            there = ray.get(answer, timeout=0)
        except ray.exceptions.RayError as error:
            there = {"answer": str(error).splitlines()[0]}
        differs = [f"{k} {there.get(k)}" for k in here if there.get(k) != here[k]]
        if "answer" in there or differs:
            told = there.get("answer") or ", ".join(differs)
            wrong.append(f"{node['NodeManagerHostname']}: {told}")
    if wrong:
        raise ConfigError(
            "not all nodes of the cluster have what this machine has",
            seen="; ".join(wrong),
            allowed=", ".join(f"{name} {value}" for name, value in here.items()),
            next="install the same versions on each node, then start its Ray anew",
        )


def _question() -> Callable[[], dict[str, str | None]]:
    """What each node is asked.

    A function within a function reaches a node by its code, so that it runs where there is no
    Fallline to import.
    """

    def versions() -> dict[str, str | None]:
        import hashlib
        import importlib.util
        import platform
        from importlib.metadata import PackageNotFoundError, version
        from pathlib import Path

        found: dict[str, str | None] = {"python": ".".join(platform.python_version_tuple()[:2])}
        try:
            found["torch"] = version("torch").partition("+")[0]
        except PackageNotFoundError:
            found["torch"] = None
        spec = importlib.util.find_spec("fallline")
        digest = hashlib.sha256()
        if spec is not None and spec.origin is not None:
            for path in sorted(Path(spec.origin).parent.rglob("*.py")):
                digest.update(path.read_bytes())
        found["fallline"] = digest.hexdigest()[:12] if spec else None
        return found

    return versions


def _reachable(address: str) -> str:
    """HOST:PORT, checked: something there speaks as Ray's head does."""
    host, colon, port = address.rpartition(":")
    if not colon:
        host, port = address, str(PORT)
    if not host or not port.isdigit() or "/" in host:
        raise ConfigError(
            "this is no address of a Ray cluster",
            seen=address,
            allowed=f"HOST:PORT, as `ray start --head --port={PORT}` shows it",
            next=HOW_TO,
        )
    if int(port) in (8265, 10001):
        raise ConfigError(
            "this port of Ray's head is not the one to join a cluster by",
            seen=f"{port}, which is for {'the dashboard' if port == '8265' else 'Ray clients'}",
            allowed=f"the port that `ray start --head` shows ({PORT} unless chosen)",
        )
    fault = _silence(host.strip("[]"), int(port))
    if fault:
        raise RunError(
            f"no Ray cluster answers at {host}:{port}",
            seen=fault,
            allowed=f"the address that `ray start --head --port={PORT}` shows on the head node",
            next="check that it runs there (ray status), that the port is open to this machine, "
            f"and that the address is the head's; {HOW_TO}",
        )
    return f"{host}:{port}"


def _silence(host: str, port: int) -> str | None:
    """Why nothing of Ray's answers there, or None: gRPC greets with an HTTP/2 settings frame.

    Ray itself would try for over a minute (RFC 9113, sections 3.4 and 4.1).
    """
    greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    try:
        with socket.create_connection((host, port), SECONDS_TO_ANSWER) as connection:
            connection.settimeout(SECONDS_TO_ANSWER)
            connection.sendall(greeting)
            answer = connection.recv(9)
    except OSError as error:
        return error.strerror or str(error) or "no answer"
    return None if answer[3:4] == b"\4" else "something else listens there"


def _turned_away(address: str | None, error: Exception) -> RunError:
    said = str(error).strip().splitlines()[0]
    if address is None:
        return RunError("Ray does not start on this machine", seen=said, next="try --on local")
    if "Version mismatch" in str(error) or "version" in said.lower():
        return RunError(
            f"the Ray cluster at {address} is of another version",
            seen=" ".join(str(error).split()),
            allowed=f"ray {version('ray')} and the same Python on all nodes",
        )
    mode = os.environ.get("RAY_AUTH_MODE", "not set")
    return RunError(
        f"the Ray cluster at {address} does not take this machine",
        seen=f"{said}; here RAY_AUTH_MODE is {mode}, {_token_in_words()}",
        allowed="the token of the head node, and a Ray that runs on this machine too",
        next="set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) as on the head, "
        f"then make this machine a node: ray start --address={address}; {HOW_TO}",
    )


def _token_in_words() -> str:
    """Where the token comes from that Ray finds; never the token itself."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        if os.environ.get(name):
            return f"the token is from {name}"
    path = os.path.expanduser("~/.ray/auth_token")
    return f"the token is from {path}" if os.path.exists(path) else "there is no token"


def has_gpus() -> bool:
    """Whether any node has one."""
    return any(node["Resources"].get("GPU") for node in alive_nodes())


def most_cores() -> int:
    """The cores of the largest node."""
    return max((int(node["Resources"].get("CPU", 0)) for node in alive_nodes()), default=0)


def rooms(threads: int, per_device: int | None) -> int:
    """How many trainings fit on the cluster now, of so many CPU threads or parts of a GPU."""
    fits: Counter[str] = Counter()
    for node in alive_nodes():
        there = node["Resources"]
        by_cpu = int(there.get("CPU", 0)) // threads
        by_gpu = int(there.get("GPU", 0)) * per_device if per_device else by_cpu
        fits[node["NodeID"]] = min(by_cpu, by_gpu)
    return fits.total()
