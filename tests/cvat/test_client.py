"""Over one client: logging in, errors as sentences, patience."""

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cvat_sdk.api_client.exceptions import ApiException
from cvat_sdk.core.auth import AuthStore, ProfileEntry

from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.client import Login, connect
from promptable.cvat.server.errors import CvatError
from promptable.cvat.server.http.rest import refusal
from toy.cvat.stand_in import PASSWORD, TOKEN, StandIn, Task

TASK = {("task_id", 7): [("rust", "mask")]}


def _retrieve(login: Login, task: int = 7, *, job: int | None = None, writes: bool = False) -> None:
    with connect(login, writes=writes) as client:
        client.tasks.retrieve(task) if job is None else client.jobs.retrieve(job)


def test_a_password_logs_in_once(cvat: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    cvat.labels = dict(TASK)
    monkeypatch.delenv("CVAT_ACCESS_TOKEN")
    monkeypatch.setenv("CVAT_PASSWORD", PASSWORD)
    with connect(Login(cvat.url, "ann"), writes=True) as client:
        for _ in range(3):
            client.tasks.retrieve(7)
    assert cvat.asked == ["GET /api/server/about", "POST /api/auth/login", *["GET /api/tasks/7"] * 3]


def test_a_saved_profile_of_cvat_cli_serves_too(cvat: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    cvat.labels = dict(TASK)
    monkeypatch.delenv("CVAT_ACCESS_TOKEN")
    AuthStore().put_profile("office", ProfileEntry(cvat.url, TOKEN, "2026-01-01"))
    _retrieve(Login(profile="office"))
    _retrieve(Login())  # the first one saved is the default
    with pytest.raises(CvatError, match="there is no profile 'home'"):
        _retrieve(Login(profile="home"))


def test_a_token_that_only_reads_is_noticed_before_work_begins(cvat: StandIn) -> None:
    cvat.labels = dict(TASK)
    cvat.read_only = True
    _retrieve(Login(cvat.url))
    with pytest.raises(CvatError, match="only reads"):
        _retrieve(Login(cvat.url), writes=True)


def test_an_old_cvat_is_refused_with_the_oldest_that_works(cvat: StandIn) -> None:
    cvat.version = "2.56.0"
    with pytest.raises(CvatError, match=r"runs CVAT 2\.56\.0: the commands need 2\.56\.1 or later"):
        _retrieve(Login(cvat.url))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_token_and_no_annotation_goes_where_a_server_sends_on_to(cvat: StandIn, status: int) -> None:
    elsewhere = cvat.url.replace("127.0.0.1", "localhost")
    with connect(Login(cvat.url)) as client:
        cvat.asked.clear()
        cvat.failures = [(status, {"Location": f"{elsewhere}/api/jobs/1/annotations"})]
        with pytest.raises(CvatError, match=f"{cvat.url} sends on to {elsewhere}: give that address, if you trust it"):
            JobAnnotations(client, 1).create([], [])
    assert len(cvat.asked) == 1


def test_an_answer_of_an_unknown_form_names_the_version(cvat: StandIn) -> None:
    cvat.version = "3.1.0"
    cvat.tasks = {7: Task([b""], (40, 60), [(1, "annotation", 0, 0)], fields={1: {"start_frame": "first"}})}
    with pytest.raises(CvatError, match=r"CVAT 3\.1\.0\) answers in a form that is not known here: .*start_frame"):
        _retrieve(Login(cvat.url), job=1)


def test_a_password_in_the_address_is_refused_and_not_repeated(cvat: StandIn) -> None:
    with pytest.raises(CvatError, match="CVAT's address holds a login: leave it out") as caught:
        _retrieve(Login(cvat.url.replace("://", f"://ann:{PASSWORD}@")))
    assert PASSWORD not in str(caught.value)
    assert not cvat.asked


def test_an_address_that_is_no_cvats_is_said(cvat: StandIn) -> None:
    cvat.labels = dict(TASK)
    cvat.failures = [(404, {})]
    with pytest.raises(CvatError, match=f"{cvat.url} is no CVAT: expected the address"):
        _retrieve(Login(cvat.url))
    with pytest.raises(CvatError, match="is no CVAT: expected the address that its pages begin with"):
        _retrieve(Login(f"{cvat.url}/tasks/7"))


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (400, "answered 400 to /api/tasks/7: said so"),
        (403, "forbids task 7 to this account (said so): its owner can allow it"),
        (404, "has no task 7, or this account may not see it"),
        (409, "is already at it: said so"),
        (429, "takes no more requests for now"),
        (500, "answered 500 to /api/tasks/7: said so"),
        (503, "cannot answer now (503: said so)"),
        (0, "broke the connection: Remote end closed connection without response"),
    ],
)
def test_every_failure_is_a_sentence(cvat: StandIn, status: int, sentence: str) -> None:
    with connect(Login(cvat.url)) as client:
        cvat.failures = [(status, {})] * 20
        with pytest.raises(CvatError) as caught:
            client.tasks.retrieve(7)
    assert sentence in str(caught.value)
    assert caught.value.status == (status or None)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900])
def test_a_refusal_that_is_nested_too_deep_is_shown_as_it_is(body: bytes) -> None:
    answered = ApiException(500, "Internal Server Error")
    answered.body = body
    assert "answered 500 to /api/tasks/7" in str(refusal(answered, "http://cvat/api/tasks/7"))


def test_an_organization_that_is_not_there_is_said() -> None:
    answered = ApiException(404, "Not Found")
    answered.body = b'{"detail":"acme organization does not exist."}'
    assert "has no organization 'acme' (--org takes its short name)" in str(
        refusal(answered, "http://cvat/api/tasks/7")
    )


@pytest.mark.parametrize("failure", [429, 502, 503, 504, 0])
def test_what_only_reads_is_tried_again(cvat: StandIn, failure: int) -> None:
    cvat.labels = dict(TASK)
    with connect(Login(cvat.url)) as client:
        cvat.failures = [(failure, {})] * 3
        client.tasks.retrieve(7)
    assert cvat.asked.count("GET /api/tasks/7") == 4


@pytest.mark.parametrize("failure", [503, 0])
def test_what_stores_something_is_not_tried_again(cvat: StandIn, failure: int) -> None:
    with connect(Login(cvat.url)) as client:
        cvat.failures = [(failure, {})] * 3
        with pytest.raises(CvatError):
            client.tasks.create({"name": "new", "labels": []})
    assert [asked for asked in cvat.asked if asked.startswith("POST")] == ["POST /api/tasks"]


def test_what_was_one_request_too_many_is_sent_again_though_it_stores_something(cvat: StandIn) -> None:
    cvat.labels, cvat.tasks = dict(TASK), {7: Task([b""], (10, 10), [(1, "annotation", 0, 0)])}
    with connect(Login(cvat.url)) as client:
        cvat.failures = [(429, {"Retry-After": "7"})] * 3
        JobAnnotations(client, 1).create([], [{"frame": 0, "label_id": 0, "attributes": []}])
    assert len(cvat.annotations.read(1)["tags"]) == 1


def test_the_pause_that_a_server_asks_for_is_kept(cvat: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    cvat.labels = dict(TASK)
    slept: list[float] = []
    monkeypatch.setattr("promptable.cvat.server.http.rest.time.sleep", slept.append)
    with connect(Login(cvat.url)) as client:
        cvat.failures = [(429, {"Retry-After": "7"}), (429, {"Retry-After": "soon"}), (429, {"Retry-After": "86400"})]
        client.tasks.retrieve(7)
    assert slept == [7.0, 1.0, 60.0]


def test_threads_that_wait_together_say_so_once(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    cvat.labels = dict(TASK)
    with connect(Login(cvat.url)) as client:
        cvat.failures = [(429, {"Retry-After": "50"})] * 4
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(client.tasks.retrieve, [7] * 4))
    assert capsys.readouterr().err.count("did not answer: trying again in 50 s\n") == 1


def test_a_refusal_says_more_than_cvats_stock_sentence() -> None:
    answered = ApiException(403, "Forbidden")
    answered.body = b'{"detail":"You do not have permission to perform this action."}'
    assert str(refusal(answered, "http://cvat/api/tasks/7")) == (
        "http://cvat forbids task 7 to this account: its owner can allow it"
    )


def test_a_server_that_never_answered_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr("promptable.cvat.server.http.rest.time.sleep", lambda _: pytest.fail("waited"))
    with pytest.raises(CvatError, match=rf"{url} cannot be reached \(Connection refused\)"):
        _retrieve(Login(url))


def test_a_server_without_tls_is_told_from_one_that_is_away(cvat: StandIn) -> None:
    with pytest.raises(CvatError, match="does not speak TLS as it should: write http://127"):
        _retrieve(Login(cvat.url.removeprefix("http://")))


def test_wrong_credentials_are_said_and_not_shown(cvat: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "wrong-token")
    with pytest.raises(CvatError, match="does not accept the login") as caught:
        _retrieve(Login(cvat.url))
    monkeypatch.setenv("CVAT_PASSWORD", "wrong-word")
    with pytest.raises(CvatError, match="refuses the login: user or password is wrong") as refused:
        _retrieve(Login(cvat.url, "ann"))
    assert "wrong-" not in f"{caught.value} {refused.value}"


def test_without_a_password_or_a_terminal_it_says_what_to_set(cvat: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CvatError, match="set CVAT_PASSWORD, or CVAT_ACCESS_TOKEN"):
        _retrieve(Login(cvat.url, "ann"))
    monkeypatch.delenv("CVAT_ACCESS_TOKEN")
    for user in ("", None):
        if user is not None:
            monkeypatch.setenv("CVAT_USERNAME", user)
        with pytest.raises(CvatError, match="say who logs in: --auth USER"):
            _retrieve(Login(cvat.url))


def test_profiles_that_others_can_read_are_refused(tmp_path: Path) -> None:
    folder = Path(os.environ["XDG_CONFIG_HOME"]) / "cvat-sdk"
    folder.mkdir(mode=0o755, parents=True)
    (folder / "auth.json").write_text(json.dumps({"version": 1, "profiles": {}}))
    with pytest.raises(CvatError, match="has permissions"):
        _retrieve(Login(profile="office"))
