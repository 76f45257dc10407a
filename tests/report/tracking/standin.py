"""A stand-in for the W&B service on this machine: it answers what the client asks, and remembers it."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Service(ThreadingHTTPServer):
    """What was sent, by run: the last line of each file's offset, tags, uploads."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, Any]]] = []  # operation and variables
        self.lines: dict[str, dict[int, str]] = {}  # run -> line -> of its history
        self.files: dict[str, set[str]] = {}  # run -> files

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def runs(self) -> list[str]:
        """Return the ids of all runs, as often as each was begun."""
        return [v["name"] for name, v in self.asked if name == "UpsertBucket" and v["tags"] is not None]

    def begun(self, run: str) -> dict[str, Any]:
        """Return what a run was begun with, the last time."""
        of_run = [v for n, v in self.asked if n == "UpsertBucket" and v["name"] == run and v["tags"]]
        return of_run[-1]

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._reply({})

    def do_PUT(self) -> None:
        self._body()
        self._reply({})

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/graphql":
            asked = json.loads(body)
            self._reply({"data": self._answer(asked["query"], asked.get("variables") or {})})
            return
        if self.path.endswith("/file_stream"):
            self._remember(self.path.split("/")[-2], json.loads(body))
        self._reply({})

    def _remember(self, run: str, sent: dict[str, Any]) -> None:
        history = (sent.get("files") or {}).get("wandb-history.jsonl")
        if history:
            lines = self.server.lines.setdefault(run, {})
            lines |= {history["offset"] + place: line for place, line in enumerate(history["content"])}

    def _answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        name = query.split("(")[0].split("{")[0].split()[-1]
        self.server.asked.append((name, variables))
        if name == "UpsertBucket":
            project = {"id": "p", "name": variables["project"], "entity": {"id": "e", "name": "me"}}
            bucket = {"id": "r", "name": variables["name"], "displayName": variables["displayName"]}
            bucket |= {"config": "{}", "sweepName": None, "historyLineCount": 0, "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if name == "CreateRunFiles":
            self.server.files.setdefault(variables["run"], set()).update(variables["files"])
            files = [
                {"name": file, "uploadUrl": f"{self.server.address}/put/{file}"}
                for file in variables["files"]
            ]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
        if name == "ArtifactType":
            return {"project": {"artifact": None}}
        if name == "CreateArtifact":
            latest = {"id": "s", "latestArtifact": {"id": "a", "versionIndex": 0}}
            return {
                "createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": latest}}
            }
        viewer = {"id": "u", "entity": "me", "username": "me", "email": "", "flags": "{}"}
        return {"viewer": viewer | {"teams": {"edges": []}}}

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, found: dict[str, Any]) -> None:
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def service() -> Iterator[Service]:
    """Serve in a thread of this process."""
    found = Service()
    thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.shutdown()
        thread.join()
        found.server_close()
