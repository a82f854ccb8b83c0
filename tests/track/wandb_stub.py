"""A W&B server on loopback, as much of it as one run needs; it can fall silent or hang."""

from __future__ import annotations

import copy
import json
import re
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = {"name": "p", "entity": {"name": "e"}}
BUCKET = {"id": "r", "name": "r", "displayName": "r", "sweepName": None, "project": PROJECT}
ANSWERS: dict[str, Any] = {
    "Viewer": {
        "viewer": {"id": "u", "entity": "e", "username": "u", "email": "u@e", "flags": "{}"}
    },
    "ServerFeaturesQuery": {"serverInfo": {"features": []}},
    "UpsertBucket": {
        "upsertBucket": {
            "bucket": BUCKET,
            "inserted": True,
            "serverSettings": {"serverMessages": []},
        }
    },
    "CreateRunFiles": {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": []}},
}


class Stub(ThreadingHTTPServer):
    """`histories` gathers the rows each run sent, `hanging` makes it answer nothing more."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.histories: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.buckets: dict[str, dict[str, Any]] = {}  # what each run first said of itself
        self.operations: list[str] = []
        self.exit_codes: list[int] = []
        self.preempting = False
        self.seconds_logging = 0.0
        self.hangs_at = ""
        self.hanging = threading.Event()
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows of all runs."""
        return [row for rows in self.histories.values() for row in rows]

    def operate(self, operation: str, body: dict[str, Any]) -> Any:
        """Answers a query; a run keeps the id it says."""
        if operation == self.hangs_at:
            self.hanging.set()
        self.operations.append(operation)
        answer = copy.deepcopy(ANSWERS.get(operation, {}))
        if operation == "RunResumeStatus":
            return self.where_it_stands(body["variables"]["name"])
        if operation == "UpsertBucket":
            name = body["variables"]["name"]
            answer["upsertBucket"]["bucket"]["name"] = name
            self.buckets.setdefault(name, body["variables"])
        return answer

    def where_it_stands(self, name: str) -> Any:
        """What a run that goes on asks first."""
        bucket = BUCKET | {
            "name": name,
            "summaryMetrics": "{}",
            "config": "{}",
            "tags": [],
            "historyLineCount": len(self.histories[name]),
            "historyTail": json.dumps([json.dumps(row) for row in self.histories[name][-1:]]),
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "logLineCount": 0,
            "wandbConfig": json.dumps({"t": 1}),
        }
        return {
            "model": {"id": "m", "name": "p", "entity": {"id": "e", "name": "e"}, "bucket": bucket}
        }

    def stream(self, run: str, body: dict[str, Any]) -> None:
        """Takes what a run appends to its files."""
        history = self.histories[run]
        for name, part in (body.get("files") or {}).items():
            if name == "wandb-history.jsonl":
                assert part["offset"] == len(history), "a run goes on where it was"
                history += [json.loads(line) for line in part["content"]]
        self.preempting |= bool(body.get("preempting"))
        if body.get("complete"):
            self.exit_codes.append(body["exitcode"])


class _Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/graphql":
            body = json.loads(sent)
            found = re.search(r"(?:query|mutation)\s+(\w+)", body["query"])
            self._answer({"data": self.server.operate(found[1] if found else "", body)})
        elif self.path.endswith("/file_stream"):
            self.server.stream(self.path.split("/")[-2], json.loads(sent))
            self._answer({"exitcode": None, "limits": {}})
        else:
            self._answer({})

    def _answer(self, content: dict[str, Any]) -> None:
        if self.server.hanging.is_set():
            threading.Event().wait(60)
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""
