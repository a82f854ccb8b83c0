"""Optuna's dashboard on the study of a sweep, reachable from this machine only."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from fallline.errors import MissingExtra, RunError
from fallline.sweep.store import DATABASE, open_to_read
from fallline.track.board import LOOPBACK
from fallline.track.terminal import say


def dashboard(path: str | Path, *, port: int = 8080, open_browser: bool = False) -> None:
    """Serves the dashboard of the sweep in `path` until Ctrl-C.

    Raises RunError if there is none.
    """
    server = start(Path(path), port)
    url = f"http://{LOOPBACK}:{server.server_port}/"
    say(f"Optuna's dashboard on {path}: {url}\nCtrl-C ends it")
    if open_browser:
        webbrowser.open(url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return
    finally:
        server.server_close()


def start(path: Path, port: int) -> WSGIServer:
    """A server that has its port, the wished one or a free one, and waits to be run."""
    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise MissingExtra("optuna-dashboard", "dashboard", "the dashboard of a sweep") from error
    app = wsgi(open_to_read(_storage(path), path))
    for chosen in (port, 0):
        try:
            return make_server(LOOPBACK, chosen, app, _Server, _Silent)
        except OSError:
            continue
    raise RunError("no port is free for the dashboard", seen=f"{LOOPBACK}:{port}")


def _storage(path: Path) -> str | None:
    about = path / "sweep.json"
    if not about.is_file():
        raise RunError(
            "this is no sweep's folder",
            seen=f"{path} holds no sweep.json",
            next="name the folder that fallline sweep has made, e.g. runs/homework",
        )
    where: str | None = json.loads(about.read_text())["storage"]
    if where is None and not (path / DATABASE).is_file():
        raise RunError("the sweep has no study yet", seen=str(path))
    return where


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request."""

    daemon_threads = True


class _Silent(WSGIRequestHandler):
    """Prints no line per request."""

    def log_message(self, format: str, *args: object) -> None:
        """Prints nothing."""
