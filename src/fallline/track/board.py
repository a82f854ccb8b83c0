"""TensorBoard on the runs of a folder, reachable from this machine only."""

from __future__ import annotations

import os
import socket
import threading
import webbrowser
from pathlib import Path
from typing import Final

from fallline.errors import RunError
from fallline.track.terminal import say, tell

LOOPBACK: Final = "127.0.0.1"


def board(path: str | Path, *, port: int = 6006, open_browser: bool = False) -> None:
    """Serves TensorBoard on the runs in `path` until Ctrl-C.

    Args:
        path: a run folder, or a folder of run folders.
        port: the port to try; a free one is taken where it is in use.
        open_browser: whether to show it there too.

    Raises RunError when there are no event files below `path`.
    """
    _check(Path(path))
    tell(f"starting TensorBoard on {path} ...")
    url = launch(path, port)
    say(f"TensorBoard on {path}: {url}\nCtrl-C ends it")
    if open_browser:
        webbrowser.open(url)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return


def launch(path: str | Path, port: int) -> str:
    """Starts TensorBoard in the background of this process; returns its address."""
    from tensorboard import program  # only now: it takes a second

    server = program.TensorBoard()
    chosen = port if port and _is_free(port) else 0
    server.configure(logdir=str(path), host=LOOPBACK, port=chosen, reload_interval=5.0)
    address: str = server.launch()
    return address


def _check(path: Path) -> None:
    if not any(path.rglob("events.out.tfevents.*")):
        seen = "no TensorBoard files below it" if path.exists() else "it does not exist"
        raise RunError(
            f"there is nothing to show in {path}",
            seen=seen,
            next="train something first (fallline train), or name the folder of your runs",
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":  # elsewhere the option lets two servers have one port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
