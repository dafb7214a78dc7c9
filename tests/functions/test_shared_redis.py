"""The Redis that replicas share is the one that the environment names."""

import logging
from pathlib import Path

import pytest

from promptable.config.environment import SettingsError, read
from promptable.config.settings import RedisSettings
from promptable.serving.redis import shared_redis
from tests.redis_server import running_redis
from toy.redis_server import RedisServer, free_port


def _set(patch: pytest.MonkeyPatch, server: RedisServer, **more: str) -> None:
    for variable, value in {**server.variables, **more}.items():
        patch.setenv(variable, value)


def test_without_a_host_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CVAT_FUNCTIONS_REDIS_HOST", raising=False)
    assert shared_redis() is None


def test_host_and_port_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_redis() as server:
        _set(monkeypatch, server)
        shared = shared_redis()
        assert shared is not None
        assert shared.client.ping()


def test_a_server_that_answers_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with running_redis() as server, caplog.at_level(logging.INFO):
        _set(monkeypatch, server)
        shared_redis()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", f"Redis at 127.0.0.1:{server.port} answers")
    ]


@pytest.mark.parametrize("wrong", ["PASSWORD", "PORT", "HOST"])
def test_a_server_that_cannot_be_used_is_a_warning_at_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    values = {"PASSWORD": "a guess", "PORT": str(free_port()), "HOST": "redis.invalid"}
    with running_redis("--requirepass", "open sesame") as server:
        _set(monkeypatch, server, **{f"CVAT_FUNCTIONS_REDIS_{wrong}": values[wrong]})
        assert shared_redis() is not None, "a server that is away is no reason not to start"
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "fails, check CVAT_FUNCTIONS_REDIS_*" in record.message
    assert "a guess" not in caplog.text


def test_the_password_may_be_a_variable_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open sesame\n")
    with running_redis("--requirepass", "open sesame") as server:
        for variable, value in (("PASSWORD", "open sesame"), ("PASSWORD_FILE", str(secret))):
            with pytest.MonkeyPatch.context() as patch:
                _set(patch, server, **{f"CVAT_FUNCTIONS_REDIS_{variable}": value})
                shared = shared_redis()
                assert shared is not None
                assert shared.client.ping()


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open sesame")
    variables = {"CVAT_FUNCTIONS_REDIS_PASSWORD": "hush", "CVAT_FUNCTIONS_REDIS_PASSWORD_FILE": str(secret)}
    settings = read(RedisSettings, variables)
    assert (settings.password, settings.password_from_file) == ("hush", "open sesame")
    assert "hush" not in repr(settings)
    assert "sesame" not in repr(settings)


@pytest.mark.parametrize(
    ("variable", "text", "accepted"),
    [
        ("CVAT_FUNCTIONS_REDIS_PORT", "0", "an integer from 1 to 65535"),
        ("CVAT_FUNCTIONS_REDIS_PORT", "redis", "an integer from 1 to 65535"),
        ("CVAT_FUNCTIONS_REDIS_TLS", "perhaps", "true or false"),
        ("CVAT_FUNCTIONS_REDIS_PASSWORD_FILE", "/nowhere", "a readable file"),
    ],
)
def test_a_wrong_value_names_the_variable_and_what_it_takes(variable: str, text: str, accepted: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(RedisSettings, {variable: text})
    assert str(caught.value) == f"{variable}: expected {accepted}, got {text!r}"


def test_tls_is_off_unless_asked_for() -> None:
    assert not read(RedisSettings, {}).tls
    assert read(RedisSettings, {"CVAT_FUNCTIONS_REDIS_TLS": "True"}).tls
