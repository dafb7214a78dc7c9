"""The question that deploy.sh puts to Redis from a function's image, to a real server."""

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from promptable.deploy.platforms import docker
from tests.redis_server import running_redis, tls_in_front_of

SCRIPT = (Path(docker.__file__).parent / "ask_redis.py").read_text()


def _ask(port: int, **settings: object) -> tuple[bool, str]:
    """Whether it went well, and what was said, with these settings of Redis."""
    given = {"HOST": "localhost", "PORT": port, **settings}
    variables = {f"CVAT_FUNCTIONS_REDIS_{name}": str(value) for name, value in given.items()}
    done = subprocess.run(
        [sys.executable, "-"],
        input=SCRIPT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("password", "said"), [("a secret", "ok"), ("a guess", "invalid username-password pair")])
def test_with_a_password_file(tmp_path: Path, password: str, said: str) -> None:
    (tmp_path / "password").write_text(f"{password}\n")
    with running_redis("--requirepass", "a secret") as server:
        well, heard = _ask(server.port, PASSWORD_FILE=tmp_path / "password")
    assert (well, said in heard) == (said == "ok", True)


def test_over_tls_with_an_authority_of_its_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with running_redis() as server, tls_in_front_of(server.port, context) as port:
        assert _ask(port, TLS="True", CA_FILE=tmp_path / "ca.pem") == (True, "ok\n")
        well, heard = _ask(port, TLS="True")
        assert not well
        assert "certificate verify failed" in heard
        well, heard = _ask(port, TLS="True", CA_FILE=tmp_path / "none.pem")
        assert not well
        assert "Traceback" not in heard


def test_where_nobody_answers() -> None:
    well, heard = _ask(1)
    assert not well
    assert "Connection refused" in heard
    assert "Traceback" not in heard
