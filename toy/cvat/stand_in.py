"""What the stand-in has and what it answers: the parts of CVAT's API that the commands use, as CVAT 2.73 answers."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from promptable.errors import GoneError
from toy.cvat.annotations import KINDS, Annotations

TOKEN = "secret-token"  # noqa: S105 - the stand-in's
PASSWORD = "secret-word"  # noqa: S105 - the stand-in's
Answer = tuple[int, object]
"""Status and body; bytes are sent as they are. Status 0 breaks the connection without a word."""
_RECORDINGS = Path(__file__).with_name("recordings")
_PAGE = 3
_CHUNK = 4
_NOT_FOUND: Answer = (404, {"detail": "Not found."})
_FORBIDDEN: Answer = (403, {"detail": "You do not have permission to perform this action."})
_NO_DATA: Answer = (400, ["Data is not uploaded for the task yet"])


@dataclass
class Task:
    """A task: its pictures' bytes by frame, its jobs as (id, type, first frame, last frame)."""

    pictures: Sequence[bytes]
    hw: tuple[int, int]
    jobs: Sequence[tuple[int, str, int, int]]
    deleted: Sequence[int] = ()
    video: bool = False
    dimension: str = "2d"
    states: Mapping[int, str] = field(default_factory=dict)
    """By job, other than new."""
    honeypots: Sequence[int] = ()
    validation: Sequence[int] = ()
    """Frames that the ground truth's job shows."""
    fields: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """By job, what differs from the recorded one."""
    organization: str | None = None
    """Within which alone functions are called about it."""
    forbidden: bool = False
    """As to somebody who is assigned one of its jobs and no more."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What differs from what was recorded about data."""


@dataclass
class StandIn:
    """What the server has, and what it was asked. ``failures`` are answered first, one a request: (status, headers).

    One of status 200 is the page of a proxy.
    """

    tasks: dict[int, Task] = field(default_factory=dict)
    labels: dict[tuple[str, int], list[tuple[str, str]]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    """By the name of a function: the answer to every call, or a function of the request that gives it, or raises."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Of the functions that CVAT lists, by name."""
    annotations: Annotations = field(default_factory=Annotations)
    attributes: Sequence[Mapping[str, Any]] = ()
    """What every label has."""
    first_label: int = 0
    """The number of the first label; the others follow."""
    added_labels: list[Mapping[str, Any]] = field(default_factory=list)
    """As they were given."""
    created: str = "2026-01-02T03:04:05Z"
    issues: list[dict[str, Any]] = field(default_factory=list)
    """Each with the ``message`` of its first comment, and people's ``answers``."""
    users: Sequence[Mapping[str, Any]] = ()
    """Each with url, id, username, first_name, last_name."""
    version: str = "2.73.0"
    read_only: bool = False
    failures: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    """Seconds that the next requests wait for, one a request, before anything is done."""
    refused_writes: list[int] = field(default_factory=list)
    """Statuses that writes of annotations are refused with, one a request; 0 breaks the connection."""
    slow_writes: list[float] = field(default_factory=list)
    """As ``slow``, of writes of annotations."""
    late_writes: int = 0
    """So many writes of annotations a gateway gives up; they are stored when ``store_late`` is called."""
    late: list[Callable[[], object]] = field(default_factory=list)
    when_stored: Callable[[], object] = lambda: None
    """Called where annotations are written, before their answer goes out."""
    lost_answers: int = 0
    """So many annotations are stored without an answer."""
    lost_issues: int = 0
    """So many issues are opened without an answer."""
    asked: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    url: str = ""

    def get(self, path: str, query: Mapping[str, str]) -> Answer:
        """What a GET is answered."""
        match path.strip("/").split("/")[1:]:
            case ["auth", "access_tokens", "self"]:
                return 200, _recorded("token") | {"read_only": self.read_only}
            case ["projects", number] if ("project_id", int(number)) in self.labels:
                return 200, self._project(int(number))
            case ["tasks", number, *of_task]:
                return self._of_task(int(number), of_task, query)
            case ["jobs", number, *of_job]:
                return self._of_job(int(number), of_job)
            case ["organizations", _]:
                return 200, {"slug": next(task.organization for task in self.tasks.values() if task.organization)}
            case ["lambda", "functions"]:
                return 200, [{"id": name, "kind": kind, "labels_v2": []} for name, kind in self.kinds.items()]
            case [kind, *which]:
                return self._list(kind, query, which)
        return _NOT_FOUND

    def delete(self, path: str) -> Answer:
        """What a DELETE of an issue is answered."""
        issue = self._issue(int(path.rpartition("/")[2]))
        if not issue:
            return _NOT_FOUND
        self.issues.remove(issue)
        return 204, b""

    def _issue(self, number: int) -> dict[str, Any]:
        return next((one for one in self.issues if one["id"] == number), {})

    def post(self, path: str, given: Any, organization: str | None) -> Answer:
        """What a POST from within an organization is answered: an issue is opened, a function called."""
        if path == "/api/issues":
            number = 1 + max((one["id"] for one in self.issues), default=0)
            self.issues.append({"id": number, "resolved": False, "assignee": None, **given})
            if not self.lost_issues:
                return 201, self.issues[-1]
            self.lost_issues -= 1
            return 0, {}
        task = self.tasks.get(given.get("task"))
        if task is not None and task.organization != organization:
            return _FORBIDDEN
        name = path.rpartition("/")[2]
        return _called(self.answers[name], given) if name in self.answers else _NOT_FOUND

    def patch(self, path: str, query: Mapping[str, str], given: Any) -> Answer:
        """What a PATCH is answered: annotations that are written, jobs changed, labels added."""
        match path.strip("/").split("/")[1:]:
            case ["jobs", number, "annotations"] if self.late_writes:
                self.late_writes -= 1
                self.late.append(partial(self.annotations.patch, int(number), query["action"], given))
                return 504, {}
            case ["jobs", number, "annotations"] if query["action"] != "delete" and (
                why := self._why_not(number, given)
            ):
                return 400, [why]
            case ["jobs", number, "annotations"]:
                answer = self.annotations.patch(int(number), query["action"], given)
                self.when_stored()
                if not self.lost_answers:
                    return 200, answer
                self.lost_answers -= 1
                return 0, {}
            case ["jobs", number]:
                self.change_job(int(number), given)
                return self.get(path, {})
            case ["tasks", number]:
                self.added_labels += given["labels"]
                self.labels["task_id", int(number)] += [(label["name"], label["type"]) for label in given["labels"]]
                return self.get(path, {})
        return _NOT_FOUND

    def move_into_project(self) -> None:
        """Labels and attributes get new numbers, in annotations too."""
        self.first_label += 1000
        self.attributes = [{**spec, "id": spec["id"] + 1000} for spec in self.attributes]
        self.annotations.renumber(1000)

    def store_late(self) -> None:
        """What gateways have given up is done now."""
        while self.late:
            self.late.pop(0)()

    def _project(self, number: int) -> dict[str, Any]:
        links = {"url": f"{self.url}/api", "count": 0}
        return {"id": number, "name": "project", "organization": None, "tasks": links, "labels": links}

    def _of_task(self, number: int, what: Sequence[str], query: Mapping[str, str]) -> Answer:
        if number not in self.tasks:
            named = not what and ("task_id", number) in self.labels
            return (200, _recorded("task") | {"id": number}) if named else _NOT_FOUND
        task = self.tasks[number]
        if task.forbidden or (what[:1] == ["data"] and not task.pictures):
            return _FORBIDDEN if task.forbidden else _NO_DATA
        match what:
            case []:
                return 200, self._task(number)
            case ["data", "meta"]:
                return 200, _meta(task)
            case ["data"]:
                return 200, _data(task, query)
            case ["validation_layout"]:
                return 200, _validation(task)
            case ["annotations"]:
                held = [self.annotations.read(job, self.attributes) for job, *_ in task.jobs]
                return 200, {kind: [one for job in held for one in job[kind]] for kind in KINDS}
        return _NOT_FOUND

    def _of_job(self, number: int, what: Sequence[str]) -> Answer:
        if what == ["annotations"]:
            return 200, self.annotations.read(number, self.attributes)
        found = [job for task in self.tasks for job in self._jobs(task) if job["id"] == number and not what]
        return (200, found[0]) if found else _NOT_FOUND

    def _list(self, kind: str, query: Mapping[str, str], which: Sequence[str]) -> Answer:
        """A page of what there is of a kind, or of issues the one that is named."""
        match kind:
            case "issues" if which:
                issue = self._issue(int(which[0]))
                return (200, issue) if issue else _NOT_FOUND
            case "tasks":
                return 200, _page([self._task(number) for number in self.tasks], query)
            case "jobs":
                tasks = [int(query["task_id"])] if "task_id" in query else self.tasks
                return 200, _page([job for task in tasks for job in self._jobs(task)], query)
            case "labels":
                return self._labels(query)
            case "users":
                return 200, _page([user for user in self.users if query["search"] in user["username"]], query)
            case "issues":
                return 200, _page([one for one in self.issues if one["job"] == int(query["job_id"])], query)
            case "comments":
                return 200, _page(_comments(self._issue(int(query["issue_id"]))), query)
        return _NOT_FOUND

    def _task(self, number: int) -> dict[str, Any]:
        task = self.tasks[number]
        own = {"id": number, "created_date": self.created, "organization": task.organization and 1}
        if not task.pictures:
            return _recorded("task_without_data") | own
        mode = "interpolation" if task.video else "annotation"
        return _recorded("task") | own | {"size": len(task.pictures), "mode": mode, "dimension": task.dimension}

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

    def change_job(self, number: int, given: Mapping[str, Any]) -> None:
        """What a PATCH of a job does: an assignee is given by id, and read as a user."""
        task = next(task for task in self.tasks.values() if number in [job for job, *_ in task.jobs])
        assignee = next((user for user in self.users if user["id"] == given["assignee"]), None)
        task.fields[number] = {**task.fields.get(number, {}), **given, "assignee": assignee}

    def _why_not(self, job: str, given: Mapping[str, Any]) -> str | None:
        """Why CVAT stores none of these annotations, in its words: their task lacks a label or attribute, or does not
        take tracks. A track has the attributes that stay as they are, its keyframes the mutable ones."""
        task = next(number for number, task in self.tasks.items() if int(job) in [one for one, *_ in task.jobs])
        specs = {label["id"]: label["attributes"] for label in self._described(self.labels["task_id", task])}
        if given.get("tracks") and self.tasks[task].honeypots:
            return "Tracks are not supported when task validation mode is gt_pool"
        for one in (one for kind in KINDS for one in given.get(kind, ())):
            if one["label_id"] not in specs:
                return f"label_id `{one['label_id']}` is invalid"
            foreign = _foreign_specs(one, specs[one["label_id"]])
            if foreign:
                return f"spec_id `{foreign[0]}` is invalid"
        return None

    def _labels(self, query: Mapping[str, str]) -> Answer:
        found = [labels for (key, number), labels in self.labels.items() if query.get(key) == str(number)]
        if len(found) != 1:
            return 500, "<html>Server Error</html>"
        return 200, _page(self._described(found[0]), query)

    def _described(self, labels: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        return [
            {"id": i, "name": name, "type": kind, "attributes": [*(self.attributes or _confidence(i))]}
            for i, (name, kind) in enumerate(labels, self.first_label)
        ]


def _foreign_specs(one: Mapping[str, Any], specs: Sequence[Mapping[str, Any]]) -> list[int]:
    """The attributes of a shape, a tag, or a track and its keyframes that they cannot have."""
    mutable = {spec["id"] for spec in specs if spec.get("mutable")}
    own = {spec["id"] for spec in specs} - (mutable if "shapes" in one else set())
    parts = [(one, own), *((key, mutable) for key in one.get("shapes", ()))]
    return [value["spec_id"] for part, known in parts for value in part["attributes"] if value["spec_id"] not in known]


def _confidence(label: int) -> Sequence[Mapping[str, Any]]:
    return [{"id": 70 + label, "name": "confidence", "input_type": "text", "values": [], "default_value": ""}]


def _comments(issue: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"id": i, "message": said} for i, said in enumerate((issue["message"], *issue.get("answers", ())))]


def _called(answer: Any, given: Any) -> Answer:
    """A function's answer; ConnectionError: it is gone, ValueError: what it refuses, GoneError: what it forgot."""
    if not callable(answer):
        return 200, answer
    try:
        return 200, answer(given)
    except ConnectionError:
        return 0, {}
    except ValueError as error:
        return 400, {"error": str(error)}
    except GoneError as error:
        return 410, {"error": str(error)}


@cache
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
        **task.meta,
    }


def _validation(task: Task) -> dict[str, Any]:
    if not task.validation:
        return {"mode": None, "frames_per_job_count": None}
    pool = {"honeypot_frames": list(task.honeypots)} if task.honeypots else {}
    frames = {"validation_frames": list(task.validation), "disabled_frames": list[int]()}
    return {"mode": "gt_pool" if pool else "gt", **frames, **pool}


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
