"""One way to a model: directly and through CVAT."""

from collections.abc import Callable
from pathlib import Path

import pytest

from promptable.cvat import functions
from promptable.cvat.functions import CvatFunction, DirectFunction, Picture, Source
from promptable.cvat.local_function import LocalFunction
from promptable.cvat.server.annotations import JobAnnotations
from promptable.cvat.server.client import Login, connect
from promptable.cvat.server.errors import CvatError
from promptable.errors import BadRequestError, OutOfMemoryError
from promptable.serving.detector import function as detector
from promptable.serving.detector import models
from toy.cvat.stand_in import StandIn

PICTURE = Picture("a.png", lambda: b"bytes", frame=4)


def test_a_function_is_asked_directly(cvat: StandIn) -> None:
    cvat.answers = {"": [{"label": "rust"}]}  # at the root of its own address
    assert DirectFunction(f"{cvat.url}/").call(PICTURE, {"threshold": 0.3}) == [{"label": "rust"}]
    assert DirectFunction(f"{cvat.url}/".removeprefix("http://")).call(PICTURE, {}) == [{"label": "rust"}]
    assert cvat.bodies == [{"threshold": 0.3, "image": "Ynl0ZXM="}, {"image": "Ynl0ZXM="}]


def test_a_functions_own_sentence_is_shown(cvat: StandIn) -> None:
    cvat.failures = [(400, {})]
    with pytest.raises(CvatError, match=r"a\.png: the function answered 400"):
        DirectFunction(cvat.url).call(PICTURE, {})


def test_what_a_function_sends_is_not_unpacked(cvat: StandIn) -> None:
    """Functions pack nothing, and a thousandth of what a packed answer takes would do to fill the memory here."""
    cvat.failures = [(400, {"Content-Encoding": "gzip"})]  # which it is not: unpacking fails
    with pytest.raises(CvatError, match="the function answered 400"):
        DirectFunction(cvat.url).call(PICTURE, {})


def test_an_answer_that_is_nested_too_deep_is_no_functions(cvat: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "read_body", lambda *_, **__: b"[" * 100_000)
    cvat.answers = {"": []}
    with pytest.raises(CvatError, match="what answered is no function"):
        DirectFunction(cvat.url).call(PICTURE, {})


def test_a_query_is_sent_and_told_to_nobody(cvat: StandIn) -> None:
    cvat.answers = {"": []}
    function = DirectFunction(f"{cvat.url}/?token=secret")
    assert repr(function) == f"{cvat.url}/"
    assert function.call(PICTURE, {}) == []
    cvat.failures = [(400, {})]
    with pytest.raises(CvatError) as refused:
        function.call(PICTURE, {})
    assert "secret" not in str(refused.value)
    with pytest.raises(CvatError) as unreachable:
        DirectFunction("127.0.0.1:1/?token=secret").call(PICTURE, {})
    assert "secret" not in str(unreachable.value)


def test_a_login_in_a_functions_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(CvatError, match="holds a login") as refused:
        DirectFunction("http://user:secret@localhost:32101")
    assert "secret" not in str(refused.value)


def test_a_busy_function_is_asked_again(cvat: StandIn) -> None:
    cvat.answers = {"": []}
    cvat.failures = [(503, {})] * 2
    assert DirectFunction(cvat.url).call(PICTURE, {}) == []
    assert len(cvat.asked) == 3


def test_who_waits_is_told_and_a_silent_function_is_asked_once(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(functions, "_TIMEOUT", (10.0, 0.5))
    monkeypatch.setattr(functions, "_TOLD_AFTER_S", 0.01)
    cvat.slow = [1.0]
    picture = Picture("\x1b[2Ja.png", lambda: b"bytes")
    with pytest.raises(CvatError, match=r"a\.png: no answer in 0\.5 s: the function hangs or"):
        DirectFunction(cvat.url).call(picture, {})
    assert len(cvat.asked) == 1
    said = capsys.readouterr().err
    assert "a.png: no answer for 0.01 s, waiting up to 0.5 s\n" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "url", ["127.0.0.1:1", "http://[::1]:1/", "http://no.such.host.invalid", "http://[", "http://:80"]
)
def test_whether_something_listens_is_known_at_once(cvat: StandIn, url: str) -> None:
    DirectFunction(cvat.url).reach()
    with pytest.raises(CvatError, match=r"cannot be reached \(.*\): is the function up\?"):
        DirectFunction(url).reach()


def test_an_unreachable_function_names_the_tunnel() -> None:
    with pytest.raises(CvatError, match=r"127\.0\.0\.1:1 cannot be reached \(Connection refused\).* ssh -L"):
        DirectFunction("127.0.0.1:1").call(PICTURE, {})


@pytest.mark.parametrize(("status", "headers"), [(404, {}), (301, {"Location": "/login"})])
def test_an_address_without_a_function_is_told_from_a_function_that_refuses(
    cvat: StandIn, status: int, headers: dict[str, str]
) -> None:
    cvat.answers = {"": [], "login": []}
    cvat.failures = [(status, headers)]
    with pytest.raises(CvatError, match=rf"answered {status}, as no function does: is the address right\?"):
        DirectFunction(cvat.url).call(PICTURE, {})
    assert len(cvat.asked) == 1


def test_a_proxys_page_is_said_and_is_no_answer(cvat: StandIn) -> None:
    cvat.answers, cvat.kinds = {"dino": []}, {"dino": "detector"}
    cvat.failures = [(200, {})]
    with pytest.raises(CvatError, match=r"a\.png: what answered is no function.* is the address right\?"):
        DirectFunction(cvat.url).call(PICTURE, {})
    with connect(Login(cvat.url)) as client:
        function, annotations = CvatFunction(client, "dino", Source(3), "detector"), JobAnnotations(client, 1)
        asked = (
            lambda: function.call(PICTURE, {}),
            lambda: CvatFunction(client, "dino", Source(3), "detector"),
            annotations.read,
            lambda: annotations.create([], []),
            lambda: client.tasks.retrieve(3),
        )
        for ask in asked:
            cvat.failures = [(200, {})]
            with pytest.raises(CvatError, match=f"{cvat.url} answered a web page to /api/.* a proxy") as raised:
                ask()
            assert raised.value.status is None, "what was to be written may have been"


@pytest.mark.parametrize(("source", "where"), [(Source(3), {"task": 3}), (Source(3, 8), {"job": 8})])
def test_through_cvat_the_frame_is_named(cvat: StandIn, source: Source, where: dict[str, int]) -> None:
    cvat.answers, cvat.kinds = {"grounding-dino": {"shapes": []}}, {"grounding-dino": "detector"}
    with connect(Login(cvat.url)) as client:
        function = CvatFunction(client, "grounding-dino", source, "detector")
        cvat.failures = [(503, {})]
        assert function.call(PICTURE, {"threshold": 0.3}) == {"shapes": []}, "a call is harmless to repeat"
    assert cvat.bodies[-1] == {"threshold": 0.3, "frame": 4, **where}


def test_a_function_that_cvat_does_not_list_is_said_with_those_it_does(cvat: StandIn) -> None:
    cvat.kinds = {"grounding-dino": "detector"}
    with (
        connect(Login(cvat.url)) as client,
        pytest.raises(CvatError, match="no function 'dino'; it has grounding-dino"),
    ):
        CvatFunction(client, "dino", Source(3), "detector")


def test_where_nuclio_is_away_it_is_asked_about(cvat: StandIn) -> None:
    with connect(Login(cvat.url)) as client:
        cvat.failures = [(500, {})]
        with pytest.raises(CvatError, match="is Nuclio up"):
            CvatFunction(client, "dino", Source(3), "detector")


@pytest.mark.parametrize(
    ("error", "status"), [(BadRequestError("image: too large"), 400), (OutOfMemoryError("not enough memory"), 507)]
)
def test_what_goes_wrong_in_this_process_has_the_status_of_a_deployed_function(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, status: int
) -> None:
    monkeypatch.setenv("PROMPTABLE_WEIGHTS", str(tmp_path))  # else a detector of another test would be found

    def function(*_: object) -> Callable[[object], str]:
        def refuse(_: object) -> str:
            raise error

        return refuse

    monkeypatch.setattr(models, "load_models", function)
    monkeypatch.setattr(detector, "DetectorFunction", function)
    with pytest.raises(CvatError, match=rf"a\.png: {error}") as raised:
        LocalFunction("detector").call(PICTURE, {})
    assert raised.value.status == status, "else a run takes five in a row for a function that is gone"
