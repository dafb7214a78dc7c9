"""A stand-in for CVAT's server: the parts of its API that the commands use, with models as CVAT 2.73 answered them."""

import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.cvat.stand_in_annotations import KINDS, Annotations

TOKEN = "secret-token"  # noqa: S105 - the stand-in's
PASSWORD = "secret-word"  # noqa: S105 - the stand-in's
_RECORDINGS = Path(__file__).with_name("recordings")
_PAGE = 3
_CHUNK = 4


@dataclass
class Task:
    """A task: its pictures' bytes by frame, its jobs as (id, type, first frame, last frame)."""

    pictures: Sequence[bytes]
    hw: tuple[int, int]
    jobs: Sequence[tuple[int, str, int, int]]
    deleted: Sequence[int] = ()
    video: bool = False
    states: Mapping[int, str] = field(default_factory=dict)
    """By job, other than new."""
    honeypots: Sequence[int] = ()
    validation: Sequence[int] = ()
    """Frames that the ground truth's job shows."""
    fields: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """By job, what differs from the recorded one."""


@dataclass
class StandIn:
    """What the server has, and what it was asked. ``failures`` are answered first, one a request: (status, headers)."""

    tasks: dict[int, Task] = field(default_factory=dict)
    labels: dict[tuple[str, int], list[tuple[str, str]]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    """By the name of a function: the answer to every call, or a function of the request that gives it, or raises."""
    annotations: Annotations = field(default_factory=Annotations)
    attributes: Sequence[Mapping[str, Any]] = ()
    """What every label has."""
    created: str = "2026-01-02T03:04:05Z"
    issues: list[dict[str, Any]] = field(default_factory=list)
    """Each with the message of its one comment."""
    version: str = "2.73.0"
    read_only: bool = False
    failures: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    refused_writes: list[int] = field(default_factory=list)
    """Statuses that writes of annotations are refused with, one a request; 0 breaks the connection."""
    lost_answers: int = 0
    """So many annotations are stored without an answer."""
    asked: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    url: str = ""

    def get(self, path: str, query: Mapping[str, str]) -> tuple[int, object]:  # noqa: C901
        """Status and body of a GET; bytes are sent as they are."""
        match path.strip("/").split("/")[1:]:
            case ["auth", "access_tokens", "self"]:
                return 200, _recorded("token") | {"read_only": self.read_only}
            case ["tasks", number] if int(number) in self.tasks:
                return 200, self._task(int(number))
            case ["tasks", number] if ("task_id", int(number)) in self.labels:
                return 200, _recorded("task") | {"id": int(number)}
            case ["projects", number] if ("project_id", int(number)) in self.labels:
                links = {"url": f"{self.url}/api", "count": 0}
                return 200, {
                    "id": int(number),
                    "name": "project",
                    "organization": None,
                    "tasks": links,
                    "labels": links,
                }
            case ["tasks", number, "data", "meta"]:
                return 200, _meta(self.tasks[int(number)])
            case ["tasks", number, "data"]:
                return 200, _data(self.tasks[int(number)], query)
            case ["tasks", number, "validation_layout"]:
                return 200, _validation(self.tasks[int(number)])
            case ["jobs", number, "annotations"]:
                return 200, self.annotations.read(int(number))
            case ["tasks", number, "annotations"]:
                held = [self.annotations.read(job) for job, *_ in self.tasks[int(number)].jobs]
                return 200, {kind: [one for job in held for one in job[kind]] for kind in KINDS}
            case ["tasks"]:
                return 200, _page([self._task(number) for number in self.tasks], query)
            case ["jobs"]:
                tasks = [int(query["task_id"])] if "task_id" in query else self.tasks
                return 200, _page([job for task in tasks for job in self._jobs(task)], query)
            case ["jobs", number]:
                found = [job for task in self.tasks for job in self._jobs(task) if job["id"] == int(number)]
                return (200, found[0]) if found else (404, {"detail": "Not found."})
            case ["labels"]:
                return self._labels(query)
            case ["issues"]:
                return 200, _page([one for one in self.issues if one["job"] == int(query["job_id"])], query)
            case ["comments"]:
                return 200, _page([self.issues[int(query["issue_id"])]], query)
            case ["lambda", "functions"]:
                return 200, [{"id": name, "kind": "detector", "labels_v2": []} for name in self.answers]
        return 404, {"detail": "Not found."}

    def _task(self, number: int) -> dict[str, Any]:
        task = self.tasks[number]
        mode = "interpolation" if task.video else "annotation"
        return _recorded("task") | {
            "id": number,
            "size": len(task.pictures),
            "mode": mode,
            "created_date": self.created,
        }

    def _jobs(self, task: int) -> Iterator[dict[str, Any]]:
        for number, kind, first, last in self.tasks[task].jobs:
            yield _recorded("job") | {
                "id": number,
                "type": kind,
                "start_frame": first,
                "stop_frame": last,
                "task_id": task,
                "state": self.tasks[task].states.get(number, "new"),
                **self.tasks[task].fields.get(number, {}),
            }

    def _labels(self, query: Mapping[str, str]) -> tuple[int, object]:
        found = [labels for (key, number), labels in self.labels.items() if query.get(key) == str(number)]
        if len(found) != 1:
            return 500, "<html>Server Error</html>"
        entries = [
            {"id": i, "name": name, "type": kind, "attributes": [*(self.attributes or _confidence(i))]}
            for i, (name, kind) in enumerate(found[0])
        ]
        return 200, _page(entries, query)


def _confidence(label: int) -> Sequence[Mapping[str, Any]]:
    return [{"id": 70 + label, "name": "confidence", "input_type": "text", "values": [], "default_value": ""}]


def _answer(answer: Any, given: Any) -> tuple[int, object]:
    """Status and body of a function's answer; status 0 for one that is gone."""
    if not callable(answer):
        return 200, answer
    try:
        return 200, answer(given)
    except ConnectionError:
        return 0, {}
    except ValueError as error:
        return 400, {"error": str(error)}


def _recorded(name: str) -> dict[str, Any]:
    model: dict[str, Any] = json.loads((_RECORDINGS / f"{name}.json").read_text())
    return model


def _meta(task: Task) -> dict[str, Any]:
    frames = [
        {"name": f"{i}.png", "height": task.hw[0], "width": task.hw[1], "related_files": 0}
        for i in range(len(task.pictures))
    ]
    shown = frames[:1] if task.video else frames
    return _recorded("meta") | {
        "size": len(task.pictures),
        "chunk_size": _CHUNK,
        "frames": shown,
        "deleted_frames": list(task.deleted),
    }


def _validation(task: Task) -> dict[str, Any]:
    if not task.validation:
        return {"mode": None}
    pool = {"honeypot_frames": list(task.honeypots)} if task.honeypots else {}
    return {"mode": "gt_pool" if pool else "gt", "validation_frames": list(task.validation), **pool}


def _data(task: Task, query: Mapping[str, str]) -> bytes:
    assert query["quality"] == "original"
    number = int(query["number"])
    if query["type"] == "frame":
        return task.pictures[number]
    assert not task.video, "chunks of a video are films"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for i, picture in enumerate(task.pictures[number * _CHUNK : (number + 1) * _CHUNK]):
            archive.writestr(f"{i:06}.png", picture)
    return packed.getvalue()


def _page(entries: Sequence[object], query: Mapping[str, str]) -> dict[str, object]:
    first = _PAGE * (int(query.get("page", "1")) - 1)
    following = "http://cvat/next" if len(entries) > first + _PAGE else None
    return {"count": len(entries), "next": following, "previous": None, "results": entries[first : first + _PAGE]}


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        stand_in = self._begin()
        if stand_in is None:
            return
        if url.path == "/api/server/about":
            about = dict.fromkeys(("name", "description", "logo_url", "subtitle"), "CVAT")
            self._send(200, about | {"version": stand_in.version})
        elif self._known():
            self._send(*stand_in.get(url.path, {key: value[0] for key, value in parse_qs(url.query).items()}))
        else:
            self._send(401, {"detail": "Authentication credentials were not provided."})

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stand_in = self._begin()
        if stand_in is None:
            return
        stand_in.bodies.append(given)
        if self.path == "/api/auth/login":
            if given == {"username": "ann", "password": PASSWORD}:
                self._send(200, {"key": "k"}, [("Set-Cookie", "sessionid=yes"), ("Set-Cookie", "csrftoken=c")])
            else:
                self._send(400, {"non_field_errors": ["Unable to log in with provided credentials."]})
        elif self.path == "/api/issues":
            stand_in.issues.append({"id": len(stand_in.issues), **given})
            self._send(201, stand_in.issues[-1])
        elif (name := self.path.rpartition("/")[2]) in stand_in.answers:
            status, body = _answer(stand_in.answers[name], given)
            if status:
                self._send(status, body)
            else:
                self.close_connection = True
        else:
            self._send(404, {"detail": "Not found."})

    def do_PATCH(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        url = urlsplit(self.path)
        stand_in = self._begin()
        if stand_in is None:
            return
        match url.path.strip("/").split("/")[1:]:
            case ["jobs", _, "annotations"] if stand_in.refused_writes:
                self._fail(stand_in.refused_writes.pop(0), {})
            case ["jobs", number, "annotations"]:
                answer = stand_in.annotations.patch(int(number), parse_qs(url.query)["action"][0], given)
                if stand_in.lost_answers:
                    stand_in.lost_answers -= 1
                    self.close_connection = True  # stored, and nobody hears of it
                else:
                    self._send(200, answer)
            case ["tasks", number]:
                key = ("task_id", int(number))
                new = [(label["name"], label["type"]) for label in given["labels"]]
                stand_in.labels[key] = [*stand_in.labels[key], *new]
                self._send(200, stand_in.get(url.path, {})[1])
            case _:
                self._send(404, {"detail": "Not found."})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _begin(self) -> StandIn | None:
        """Note the request; None where it has been answered with a failure."""
        stand_in = self.server.stand_in
        stand_in.asked.append(f"{self.command} {self.path}")
        if stand_in.failures:
            self._fail(*stand_in.failures.pop(0))
            return None
        return stand_in

    def _fail(self, status: int, headers: Mapping[str, str]) -> None:
        if status:
            self._send(status, {"detail": "said so"}, list(headers.items()))
        else:
            self.close_connection = True  # without a word

    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}" or "sessionid=yes" in self.headers.get(
            "Cookie", ""
        )

    def _send(self, status: int, body: object, headers: Sequence[tuple[str, str]] = ()) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/octet-stream" if isinstance(body, bytes) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    stand_in: StandIn


@contextmanager
def serve(stand_in: StandIn) -> Iterator[StandIn]:
    """Serve it on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.stand_in = stand_in
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield stand_in
    server.shutdown()
    thread.join()
    server.server_close()
