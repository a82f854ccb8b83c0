"""Decoding with all cores: processes that get files through a pipe and give pixels back.

They are started as plain Python processes, not by multiprocessing: its processes either
inherit the threads of torch by halves (fork) or run the user's script once more (spawn), which a
script without a main guard does not survive. A message is a line of JSON that says how
many bytes follow it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any

import numpy as np

from fallline import child
from fallline.data.decode import Chunk, File, Plan, Refuted, decode
from fallline.errors import DataError
from fallline.machine import usable_cores

ALONE_SECONDS = 0.5  # about what starting a process costs: a small set needs none
MOST_WORKERS = 16  # the process that reads the archive and writes the cache keeps up with no more


def decode_all(chunks: Iterable[Sequence[File]], plan: Plan) -> Iterator[Chunk]:
    """Decodes chunks of files, in order, a few of them at a time.

    Raises:
        Refuted: an image shows that the plan was guessed wrong.
        DataError: a decoding process died.
    """
    waiting = iter(chunks)
    alone_until = time.monotonic() + ALONE_SECONDS
    for files in waiting:
        yield decode(files, plan)
        if time.monotonic() >= alone_until:
            break
    with _Pool(min(usable_cores(), MOST_WORKERS)) as pool:
        under_way: deque[Future[Chunk]] = deque()
        for files in waiting:
            under_way.append(pool.submit(files, plan))
            if len(under_way) > 2 * pool.size:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


class _Pool:
    """Processes, each started when there is work for it, each talked to by one thread."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._threads = ThreadPoolExecutor(size)
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> _Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=kind is None, cancel_futures=True)
        for worker in self._started:
            worker.kill()  # it holds nothing that could be lost
        self._threads.shutdown()
        for worker in self._started:
            with suppress(OSError):  # a pipe that broke: whoever asked this worker was told
                worker.__exit__(None, None, None)

    def submit(self, files: Sequence[File], plan: Plan) -> Future[Chunk]:
        """Decodes some files in whichever process is free."""
        return self._threads.submit(self._decode, files, plan)

    def _decode(self, files: Sequence[File], plan: Plan) -> Chunk:
        worker = self._borrow()
        try:
            return _ask(worker, files, plan)
        finally:
            self._idle.put(worker)

    def _borrow(self) -> subprocess.Popen[bytes]:
        try:
            return self._idle.get_nowait()
        except Empty:
            worker = _start()
        self._started.append(worker)
        return worker


def _start() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            child.command("from fallline.data.workers import serve; serve()"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    except OSError as error:
        raise DataError(
            "a process that decodes images cannot be started",
            seen=f"{sys.executable}: {error.strerror or error}",
            allowed="a Python that can be started again, and memory for one more process",
            next="end other programs and try again",
        ) from error


def _ask(worker: subprocess.Popen[bytes], files: Sequence[File], plan: Plan) -> Chunk:
    assert worker.stdin is not None
    assert worker.stdout is not None
    entries = [len(file) if isinstance(file, bytes) else str(file) for file in files]
    contents = [file for file in files if isinstance(file, bytes)]
    try:
        _send(worker.stdin, {"plan": asdict(plan), "files": entries}, *contents)
        reply = _receive(worker.stdout)
        if "refuted" in reply:
            raise Refuted(_plan(reply["refuted"]))
        pixels = np.frombuffer(_read(worker.stdout, reply["bytes"]), np.uint8)
    except (OSError, EOFError) as error:
        raise DataError(
            "a process that decodes images died",
            seen=f"exit status {worker.wait()}",
            allowed="enough memory for the largest image",
            next="try again; if it dies again, halve the images to find the one that kills it",
        ) from error
    shape = (-1, *plan.size, plan.channels)
    faults = {int(index): why for index, why in reply["faults"].items()}
    return Chunk(pixels.reshape(shape), faults, reply["see_through"])


def _plan(values: dict[str, Any]) -> Plan:
    return Plan(**values | {"size": tuple(values["size"])})


def _send(pipe: IO[bytes], message: dict[str, Any], *contents: bytes) -> None:
    pipe.write(json.dumps(message).encode() + b"\n")
    for content in contents:
        pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> dict[str, Any]:
    line = pipe.readline()
    if not line:
        raise EOFError
    message: dict[str, Any] = json.loads(line)
    return message


def _read(pipe: IO[bytes], count: int) -> bytes:
    content = pipe.read(count)
    if len(content) < count:
        raise EOFError
    return content


def serve() -> None:
    """What a worker does: answers requests until there are no more."""
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too; the parent ends us
    while True:
        try:
            request = _receive(requests)
        except EOFError:
            return
        files = [
            _read(requests, entry) if isinstance(entry, int) else Path(entry)
            for entry in request["files"]
        ]
        try:
            chunk = decode(files, _plan(request["plan"]))
        except Refuted as refuted:
            _send(replies, {"refuted": asdict(refuted.better)})
            continue
        pixels = chunk.pixels.tobytes()
        about = {"faults": chunk.faults, "see_through": chunk.see_through}
        _send(replies, about | {"bytes": len(pixels)}, pixels)
