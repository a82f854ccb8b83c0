"""A real Ray cluster on loopback: each node a process tree of its own, which can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fallline.sweep.ray_place import QUIETLY

TOKEN = "0123456789abcdef" * 2
ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": TOKEN,
    **QUIETLY,
    "OMP_NUM_THREADS": "1",
}
STORE_BYTES = 80_000_000


class Node:
    """A node with one CPU and a cache of its own."""

    def __init__(self, folder: Path, session: Path, *where: str) -> None:
        self.cache = folder / "cache"
        self.scratch = folder / "scratch"
        self.scratch.mkdir(parents=True)
        with (folder / "ray.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(Path(sys.executable).with_name("ray")),
                    "start",
                    "--block",
                    *where,
                    "--num-cpus=1",
                    f"--object-store-memory={STORE_BYTES}",
                    "--disable-usage-stats",
                ],
                env={
                    **os.environ,
                    **ENVIRONMENT,
                    "FALLLINE_CACHE": str(self.cache),
                    "TMPDIR": str(self.scratch),
                    "RAY_TMPDIR": str(session),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def is_up(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """What pulling its plug does to the processes of a node."""
        tree = [self._process.pid]
        for pid in tree:
            tree += children(pid)
        for pid in tree:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()

    @property
    def sets(self) -> list[str]:
        """The image sets in its cache."""
        return sorted(path.name for path in (self.cache / "sets").glob("*.images"))


class Cluster:
    """A head node, and nodes that join it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._session = Path(tempfile.mkdtemp(prefix="ray"))  # its sockets need a short path
        head = ("--head", f"--port={self.port}", "--include-dashboard=false")
        self.nodes = [Node(folder / "head", self._session, *head)]
        self._wait_for_port()

    @property
    def head(self) -> Node:
        return self.nodes[0]

    def add(self) -> Node:
        folder = self._folder / f"node{len(self.nodes)}"
        node = Node(folder, self._session, f"--address={self.address}")
        self.nodes.append(node)
        return node

    def close(self) -> None:
        for node in reversed(self.nodes):
            node.kill()
        shutil.rmtree(self._session, ignore_errors=True)

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise TimeoutError("the head node did not start")


def free_port() -> int:
    """A port outside of those Ray gives to its workers (10002 to 19999)."""
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port: int = found.getsockname()[1]
        if not 10_002 <= port <= 19_999:
            return port


def children(pid: int) -> list[int]:
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in done.stdout.split()]
