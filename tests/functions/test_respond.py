"""What every function answers when it is not ready, and when something of ours fails."""

import io
import json
from collections.abc import Callable

import nuclio_sdk
import pytest

from promptable.errors import BadRequestError, GoneError, OutOfMemoryError
from promptable.serving.logs import log_to
from promptable.serving.respond import respond


def _respond(answer: Callable[[object], str] | None) -> tuple[nuclio_sdk.Response, str]:
    log = io.StringIO()
    logger = nuclio_sdk.Logger("DEBUG", "test_respond")
    logger.set_handler("default", log, nuclio_sdk.logger.HumanReadableFormatter())
    log_to(logger)
    context = nuclio_sdk.Context(logger)
    if answer is not None:
        context.user_data.answer = answer
    return respond(context, nuclio_sdk.Event(body={})), log.getvalue()


def _raising(error: Exception) -> Callable[[object], str]:
    def answer(_: object) -> str:
        raise error

    return answer


def test_an_answer_goes_out_as_it_is() -> None:
    response, log = _respond(lambda _: "[1, 2]")
    assert (response.status_code, response.body, response.content_type) == (200, "[1, 2]", "application/json")
    assert "milliseconds" in log


def test_before_the_model_is_loaded_the_answer_is_503() -> None:
    response, _ = _respond(None)
    assert response.status_code == 503
    assert "not loaded" in json.loads(response.body)["error"]


def test_a_bad_request_is_400_with_its_reason_in_body_and_log() -> None:
    response, log = _respond(_raising(BadRequestError("threshold: expected less")))
    assert response.status_code == 400
    assert json.loads(response.body) == {"error": "threshold: expected less"}
    assert "threshold: expected less" in log


def test_what_is_no_longer_kept_is_410_with_its_reason() -> None:
    """CVAT drops the reason and shows "410 Client Error: Gone"."""
    response, log = _respond(_raising(GoneError("states: a state has expired")))
    assert response.status_code == 410
    assert json.loads(response.body) == {"error": "states: a state has expired"}
    assert "a state has expired" in log


def test_a_raising_model_is_500_with_the_traceback_in_the_log_only() -> None:
    response, log = _respond(_raising(RuntimeError("secret path /models/x")))
    assert response.status_code == 500
    assert "Traceback" not in response.body
    assert "secret" not in response.body
    assert "Traceback" in log
    assert "secret path" in log


def test_a_lost_cuda_context_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    _respond(_raising(RuntimeError("CUDA error: an illegal memory access was encountered")))
    assert ended == [1]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory"),
        RuntimeError("CUDA error: out of memory"),
        ZeroDivisionError(),
    ],
)
def test_other_errors_do_not_end_the_process(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    response, _ = _respond(_raising(error))
    assert (response.status_code, ended) == (500, [])


def test_out_of_memory_is_507_and_no_lost_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not 503, at which callers try the very same again."""
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    reason = "not enough memory: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"
    response, log = _respond(_raising(OutOfMemoryError(reason)))
    assert (response.status_code, ended) == (507, [])
    assert json.loads(response.body) == {"error": reason}
    assert reason in log
