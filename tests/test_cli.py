"""The commands of ``promptable`` that no other test runs."""

import fcntl
import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from promptable.cli.main import main
from promptable.models import catalogue
from promptable.models.catalogue import Checkpoint

CONTENT = save({"weight": np.arange(4096.0)})
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def published(url: str, sha256: str | None) -> Checkpoint:
    return Checkpoint(url, sha256, len(CONTENT), catalogue.OFFICIAL["vit_b"].family, memory_gib=1)


class Publisher(BaseHTTPRequestHandler):
    """Serves CONTENT under every name, with ranges; the first answer of a server breaks off in the middle."""

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        self.server.asked.append((self.path, start))  # type: ignore[attr-defined]
        if "redirect" in self.path:
            self.send_response(302)
            self.send_header("X-Linked-ETag", self.server.etag)  # type: ignore[attr-defined]
            self.send_header("Location", self.path.replace("redirect", "there"))
            self.end_headers()
            return
        if "absent" in self.path:
            self.send_error(404)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        breaks_off = len(self.server.asked) == 1  # type: ignore[attr-defined]
        self.wfile.write(CONTENT[start : len(CONTENT) // 2 if breaks_off else None])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def publisher() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def url(publisher: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where vit_b is published."""
    url = f"http://127.0.0.1:{publisher.server_address[1]}"
    monkeypatch.setattr(catalogue, "OFFICIAL", {"vit_b": published(f"{url}/vit_b.pth", SHA256)})
    return url


def test_an_unknown_model_is_refused_with_the_known_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", "vit_z", "--weights", str(tmp_path)]) == 1
    assert "vit_z" in (message := capsys.readouterr().err)
    assert "sam2.1-large" in message


def test_a_download_that_breaks_off_goes_on_where_it_stopped(
    tmp_path: Path, url: str, publisher: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "vit_b.pth"
    command = ["download", "vit_b", "--weights", str(tmp_path)]
    assert main(command) == 1
    said = capsys.readouterr()
    assert f"vit_b.pth could not be fetched from {url}/vit_b.pth" in said.err
    assert "same command goes on" in said.err
    assert not target.exists(), "a file of the right name is always whole"
    assert main(command) == 0
    assert target.read_bytes() == CONTENT
    assert publisher.asked == [("/vit_b.pth", 0), ("/vit_b.pth", len(CONTENT) // 2)]  # type: ignore[attr-defined]
    assert main(command) == 0
    assert len(publisher.asked) == 2, "what is there is kept"  # type: ignore[attr-defined]


def test_what_another_process_fetches_is_waited_for(
    tmp_path: Path, url: str, publisher: ThreadingHTTPServer, caplog: Any
) -> None:
    target, part = tmp_path / "vit_b.pth", tmp_path / "vit_b.pth.part"
    with ThreadPoolExecutor() as beside, part.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        status = beside.submit(main, ["download", "vit_b", "--weights", str(tmp_path)])
        while not (caplog.messages or status.done()):
            sleep(0.01)
        other.write(CONTENT)
        part.rename(target)
    assert status.result() == 0
    assert caplog.messages == ["vit_b.pth is being fetched by another process, which is waited for"]
    assert target.read_bytes() == CONTENT
    assert publisher.asked == []  # type: ignore[attr-defined]


def test_a_mirror_has_the_files_under_their_own_names(
    tmp_path: Path, url: str, publisher: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.asked.append(("", 0))  # type: ignore[attr-defined]
    monkeypatch.setattr(catalogue, "OFFICIAL", {"vit_b": published("http://127.0.0.1:1/vit_b.pth", SHA256)})
    assert main(["download", "vit_b", "--weights", str(tmp_path), "--mirror", f"{url}/models/"]) == 0
    assert publisher.asked[1:] == [("/models/vit_b.pth", 0)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks5://127.0.0.1:1"), ("HTTPS_PROXY", "nonsense://x"), ("SSL_CERT_FILE", "/no")],
)
def test_an_environment_that_does_not_reach_the_net_is_named(
    tmp_path: Path,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["download", "vit_b", "--weights", str(tmp_path)]) == 1
    assert f"promptable download: nothing can be fetched with the environment's {name}" in capsys.readouterr().err


def test_a_folder_of_weights_that_the_system_does_not_look_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--weights", "/" + "x" * 300]) == 1
    assert "cannot be looked at: File name too long" in capsys.readouterr().err


def test_another_file_than_the_official_one_is_not_kept(
    tmp_path: Path,
    url: str,
    publisher: ThreadingHTTPServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publisher.asked.append(("", 0))  # type: ignore[attr-defined]
    monkeypatch.setattr(catalogue, "OFFICIAL", {"vit_b": published(f"{url}/vit_b.pth", "0" * 64)})
    assert main(["download", "vit_b", "--weights", str(tmp_path)]) == 1
    assert "gave another file than the official vit_b.pth" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_no_public_record_gives_a_checksum_of_is_shown_and_recorded_and_then_checked(
    tmp_path: Path, url: str, publisher: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    publisher.asked.append(("", 0))  # type: ignore[attr-defined]
    row = replace(published(f"{url}/model.safetensors", None), saved_as="vit_b.safetensors")
    monkeypatch.setattr(catalogue, "OFFICIAL", {"vit_b": row})
    command = ["download", "vit_b", "--weights", str(tmp_path)]
    assert main(command) == 0
    record = tmp_path / "vit_b.safetensors.sha256"
    assert record.read_text() == f"{SHA256}  vit_b.safetensors\n"
    assert (tmp_path / "vit_b.safetensors").read_bytes() == CONTENT
    assert f"no public record gives its checksum. Its SHA-256 is {SHA256}, recorded in {record}" in caplog.text
    caplog.clear()
    assert main(command) == 0
    assert not caplog.text, "it is said once"
    assert row.expected_sha256(tmp_path) == SHA256
    (tmp_path / "vit_b.safetensors").write_bytes(b"broken")
    assert main(command) == 1


@pytest.mark.parametrize("content", [b"<html>Please log in</html>", CONTENT[:-1]])
def test_what_cannot_be_the_file_is_not_recorded_as_it(
    tmp_path: Path,
    url: str,
    publisher: ThreadingHTTPServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
) -> None:
    publisher.asked.append(("", 0))  # type: ignore[attr-defined]
    row = replace(published(f"{url}/model.safetensors", None), saved_as="vit_b.safetensors")
    monkeypatch.setattr(catalogue, "OFFICIAL", {"vit_b": row})
    monkeypatch.setattr(sys.modules[__name__], "CONTENT", content)
    command = ["download", "vit_b", "--weights", str(tmp_path)]
    assert main(command) == 1
    assert f"{url}/model.safetensors gave no whole vit_b.safetensors" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "vit_b.safetensors").write_bytes(content)
    assert main(command) == 1
    assert "vit_b.safetensors is damaged or not the official file" in capsys.readouterr().err


@pytest.mark.parametrize(("said", "status"), [(SHA256, 0), ("0" * 64, 1), ("weak", 0)])
def test_what_hugging_face_says_of_a_file_is_compared(
    tmp_path: Path, url: str, publisher: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, said: str, status: int
) -> None:
    publisher.asked.append(("", 0))  # type: ignore[attr-defined]
    publisher.etag = f'"{said}"'  # type: ignore[attr-defined]
    monkeypatch.setattr(catalogue, "OFFICIAL", {"vit_b": published(f"{url}/redirect/vit_b.pth", None)})
    assert main(["download", "vit_b", "--weights", str(tmp_path)]) == status
    assert (tmp_path / "vit_b.pth").is_file() == (status == 0)


def test_without_a_network_the_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "OFFICIAL", {"vit_b": published("http://127.0.0.1:1/vit_b.pth", SHA256)})
    assert main(["download", "vit_b", "--weights", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert message.startswith("promptable download: vit_b.pth could not be fetched from http://127.0.0.1:1/vit_b.pth: ")
    assert str(tmp_path / "vit_b.pth") in message
    assert SHA256 in message


def test_the_environments_proxy_is_used(
    tmp_path: Path, url: str, publisher: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.asked.append(("", 0))  # type: ignore[attr-defined]
    monkeypatch.setenv("HTTP_PROXY", url)
    monkeypatch.setattr(catalogue, "OFFICIAL", {"vit_b": published("http://nowhere.invalid/vit_b.pth", SHA256)})
    assert main(["download", "vit_b", "--weights", str(tmp_path)]) == 0
    assert publisher.asked[1:] == [("http://nowhere.invalid/vit_b.pth", 0)]  # type: ignore[attr-defined]


def test_the_models_and_which_of_them_lie_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "llmdet_large.safetensors",
        "vocab.txt",
        "groundingdino_swint_ogc.pth",
        "llmdet_tiny.safetensors.part",
    ):
        (tmp_path / name).touch()
    assert main(["models", "--weights", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    monkeypatch.setenv("PROMPTABLE_WEIGHTS", str(tmp_path))
    assert main(["models"]) == 0
    assert capsys.readouterr().out == said, "as labels render and the functions"
    lines = said.splitlines()
    assert {line.split()[0] for line in lines if " yes " in line} == {"swin-t", "llmdet-large"}
    (large,) = (line for line in lines if line.startswith("llmdet-large"))
    assert re.search(r"343 M +1372 MB +3 GiB +yes +LVIS minival 51.1 AP \[3\]", large)
    (family,) = (line for line in lines if line.startswith("LLMDet"))
    assert family.split()[1:] == ["detection;", "Apache-2.0"]
    assert any(line.startswith("[3] https://github.com/iSEE-Laboratory/LLMDet") for line in lines)


@pytest.mark.parametrize("columns", [80, 100])
def test_the_table_of_models_fits_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["models", "--weights", str(tmp_path)]) == 0
    table = [line.rstrip() for line in capsys.readouterr().out.splitlines() if not line.startswith("[")]
    assert max(map(len, table)) <= columns
    assert any(re.fullmatch(r"mm-grounding-dino-tiny +173 M +692 MB +2 GiB +no +LVIS.* AP \[1\]", one) for one in table)


def test_each_command_is_beside_what_it_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main([])
    commands = [line for line in capsys.readouterr().out.splitlines() if re.match(" {4}[a-z]", line)]
    assert len(commands) == 13
    assert all(re.match(r" {4}[a-z]+ +[a-zA-Z]", line) for line in commands)


def test_a_download_needs_no_torch() -> None:
    code = "import sys, promptable.models.download; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def test_an_unknown_option_shows_the_usage_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    for command, usage in (("deploy", "./deploy.sh [FUNCTION...] [OPTION...]"), ("models", "promptable models [-h]")):
        with pytest.raises(SystemExit, match="2"):
            main([command, "--modles"])
        said = capsys.readouterr().err
        assert usage in said
        assert said.endswith("error: unrecognized arguments: --modles\n")


def test_an_interrupted_command_says_so_in_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("promptable.config.labels.render", interrupted)
    assert main(["labels", "render", "labels.yaml"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_without_a_command_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in ("serve", "download", "labels"))


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"promptable \d+\.\d+\.\d+\n", capsys.readouterr().out)
