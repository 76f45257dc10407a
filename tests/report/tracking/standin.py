"""A stand-in for the W&B service on this machine: it answers what the client asks, and remembers it."""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
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
        self.views: dict[str, dict[str, Any]] = {}  # id -> workspace or report

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
        name = re.split(r"[\s({]+", query.strip())[1]
        self.server.asked.append((name, variables))
        answer = ANSWERS.get(name, lambda *_: {"viewer": VIEWER})
        return answer(self.server, variables)

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


VIEWER = {"id": "u", "entity": "me", "username": "me", "email": "", "flags": "{}", "teams": {"edges": []}}
LAST_PAGE = {"endCursor": None, "hasNextPage": False}
Answer = Callable[[Service, dict[str, Any]], dict[str, Any]]


def _run(_: Service, asked: dict[str, Any]) -> dict[str, Any]:
    project = {"id": "p", "name": asked["project"], "entity": {"id": "e", "name": "me"}}
    bucket = {"id": "r", "name": asked["name"], "displayName": asked["displayName"], "project": project}
    bucket |= {"config": "{}", "sweepName": None, "historyLineCount": 0}
    return {"upsertBucket": {"bucket": bucket, "inserted": True}}


def _files(service: Service, asked: dict[str, Any]) -> dict[str, Any]:
    service.files.setdefault(asked["run"], set()).update(asked["files"])
    files = [{"name": name, "uploadUrl": f"{service.address}/put/{name}"} for name in asked["files"]]
    return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}


def _artifact(*_: Any) -> dict[str, Any]:
    latest = {"id": "s", "latestArtifact": {"id": "a", "versionIndex": 0}}
    return {"createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": latest}}}


def _keep(service: Service, asked: dict[str, Any]) -> dict[str, Any]:
    """Keep a view under its id, a new one where none is given, as base64 as the service has it."""
    name = asked.get("id") or base64.b64encode(f"View:{len(service.views) + 1}".encode()).decode()
    view = {key: asked[key] for key in ("name", "displayName", "description", "type", "spec")}
    project = {"id": "p", "name": asked["projectName"], "entityName": "me"}
    service.views[name] = view | {"id": name, "updatedAt": "2026-01-01T00:00:00", "project": project}
    return {"upsertView": {"view": service.views[name], "inserted": True}}


def _named(service: Service, asked: dict[str, Any]) -> dict[str, Any]:
    found = [view for view in service.views.values() if view["name"] == asked["viewName"]]
    return {"project": {"allViews": {"edges": [{"node": view} for view in found]}}}


ANSWERS: dict[str, Answer] = {
    "UpsertBucket": _run,
    "CreateRunFiles": _files,
    "CreateArtifact": _artifact,
    "ArtifactType": lambda *_: {"project": {"artifact": None}},
    "UpsertView2": _keep,
    "upsertView": _keep,
    "View": _named,
    "SpecificReport": lambda service, asked: {"view": service.views[asked["reportId"]]},
    "GetProjects": lambda *_: {
        "models": {"edges": [], "pageInfo": {"endCursor": None, "hasNextPage": False}}
    },
    "ProjectInternalId": lambda *_: {"project": {"id": "p", "internalId": "UHJvamVjdDox"}},
}


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
