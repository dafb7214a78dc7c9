"""``promptable labels``: to the JSON that CVAT reads, and from CVAT's own labels."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from promptable.cli.main import main
from promptable.config import labels
from toy.cvat.stand_in import PASSWORD, StandIn

LABELS = [
    ("rust", "mask"),
    ("Rivet Ø", "any"),
    ("joint", "skeleton"),
    ("night", "tag"),
    ("yes", "polygon"),
    ("failed", "tag"),
]


@pytest.fixture
def url(cvat: StandIn) -> str:
    cvat.labels = {
        ("task_id", 7): LABELS,
        ("project_id", 3): LABELS[:1],
        ("project_id", 4): LABELS[2:3],
        ("project_id", 5): [("needs-review", "any"), ("failed", "tag")],
    }
    return cvat.url


def _fetch(url: str, tmp_path: Path, *source: str) -> tuple[int, Path]:
    file = tmp_path / "labels.yaml"
    return main(["labels", "from-cvat", "--url", url, *source, "--output", str(file)]), file


def test_render_prints_what_cvat_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "labels.yaml"
    file.write_text("- person\n- {name: rust, type: mask, prompts: [rusted metal], threshold: 0.3}\n")
    assert main(["labels", "render", str(file)]) == 0
    output = capsys.readouterr().out
    assert output.count("\n") == 1, "one line, for a shell to take"
    attributes = [
        {"name": "confidence", "input_type": "number", "values": ["0", "100", "1"]},
        {"name": "review", "input_type": "checkbox", "values": ["false"]},
    ]
    assert json.loads(output) == [
        {"id": 0, "name": "person", "type": "rectangle", "attributes": attributes},
        {
            "id": 1,
            "name": "rust",
            "type": "mask",
            "attributes": attributes,
            "prompts": ["rusted metal"],
            "threshold": 0.3,
        },
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- {name: rust, type: circle}", "type must be one of"),
        ("- rust\n- rust", "names must differ"),
        ("rust", "expected a list"),
        ("- [", "while parsing"),
        ("[]", "at least one label"),
        ("- .", "is empty"),
        (None, "No such file"),
    ],
)
def test_wrong_labels_are_refused_with_the_file_and_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, sentence: str
) -> None:
    file = tmp_path / "labels.yaml"
    if text is not None:
        file.write_text(text)
    assert main(["labels", "render", str(file)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"promptable labels: {file}: ")
    assert sentence in captured.err


def test_a_tasks_labels_become_a_file_that_render_takes(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, file = _fetch(url, tmp_path, "--task", "7")
    captured = capsys.readouterr()
    assert (status, captured.out) == (0, f"{file}\n")
    assert "left out: 'joint' takes a shape that the detector does not answer" in captured.err
    assert "tags are words to look for too: 'night'; take out those by which people mark frames" in captured.err
    read = labels.load(labels.render(file))
    assert [(label.name, str(label.type)) for label in read] == [
        ("rust", "mask"),
        ("Rivet Ø", "rectangle"),
        ("night", "tag"),
        ("yes", "polygon"),
        ("failed", "tag"),
    ]
    assert [label.name for label in read if label.marks] == ["failed"]
    assert "- Rivet Ø\n" in file.read_text(), "a label for every shape leaves the type open"


def test_a_projects_labels(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, file = _fetch(url, tmp_path, "--project", "3")
    assert capsys.readouterr().err == "", "no tags"
    assert (status, file.read_text()) == (0, "- name: rust\n  type: mask\n")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (("--task", "8"), "has no task 8"),
        (("--project", "4"), "no label to look for is of type any, rectangle, mask, polygon, tag"),
        (("--project", "5"), "no label to look for is of type any, rectangle, mask, polygon, tag"),
    ],
)
def test_what_cvat_does_not_have_is_said(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], source: tuple[str, str], sentence: str
) -> None:
    status, file = _fetch(url, tmp_path, *source)
    assert (status, file.exists()) == (1, False)
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 0), ("wrong", 1)])
def test_a_user_and_password_do_too(
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    status: int,
) -> None:
    monkeypatch.delenv("CVAT_ACCESS_TOKEN")
    monkeypatch.setenv("CVAT_USERNAME", "ann")
    monkeypatch.setenv("CVAT_PASSWORD", password)
    assert _fetch(url, tmp_path, "--task", "7")[0] == status
    assert ("user or password is wrong" in capsys.readouterr().err) == bool(status)


def test_without_cvat_sdk_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("cvat_sdk")] or ["cvat_sdk"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "promptable.cvat.server.client", raising=False)
    assert _fetch("http://cvat", tmp_path, "--task", "7")[0] == 1
    assert "pip install 'promptable[cvat]'" in capsys.readouterr().err


def test_a_refused_token_is_said_and_not_shown(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "wrong-token")
    status, _ = _fetch(url, tmp_path, "--task", "7")
    message = capsys.readouterr().err
    assert (status, "does not accept the login" in message, "wrong-token" in message) == (1, True, False)


def test_without_credentials_the_variables_are_named(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CVAT_ACCESS_TOKEN")
    assert _fetch(url, tmp_path, "--task", "7")[0] == 1
    assert "say who logs in: --auth USER" in capsys.readouterr().err


def test_an_unreachable_server_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _fetch("http://127.0.0.1:1", tmp_path, "--task", "7")[0] == 1
    message = capsys.readouterr().err
    assert "http://127.0.0.1:1 cannot be reached" in message
    assert "Traceback" not in message


def test_an_existing_file_is_kept(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.yaml").write_text("- mine\n")
    status, file = _fetch(url, tmp_path, "--task", "7")
    assert (status, file.read_text()) == (1, "- mine\n")
    assert "exists: move it away" in capsys.readouterr().err


@pytest.mark.parametrize("source", [(), ("--task", "7", "--project", "3"), ("--task", "seven")])
def test_one_task_or_one_project(source: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["labels", "from-cvat", "--url", "http://cvat", *source])


def test_cvat_sdk_is_needed_only_to_ask_cvat() -> None:
    code = "import sys, promptable.cvat.labels.entries; sys.exit(bool({'cvat_sdk', 'urllib3'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0  # noqa: S603


def test_a_password_is_not_taken_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["labels", "from-cvat", "--url", "http://cvat", "--auth", "ann:secret", "--task", "7"])
    assert "every user of this machine can read a password here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--url", "http://cvat", "--server-port", "80"), "--url and --server-host say the same"),
        (("--url", "http://cvat", "--profile", "office"), "--profile says where CVAT is"),
    ],
)
def test_contradictions_are_refused(
    options: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "labels.yaml"
    assert main(["labels", "from-cvat", *options, "--task", "7", "--output", str(file)]) == 2
    assert sentence in capsys.readouterr().err


def test_host_and_port_are_as_good_as_a_url(cvat: StandIn, url: str, tmp_path: Path) -> None:
    host, _, port = url.rpartition(":")
    file = tmp_path / "labels.yaml"
    options = ["--server-host", host, "--server-port", port, "--task", "7", "--output", str(file)]
    assert main(["labels", "from-cvat", *options]) == 0


def test_nothing_is_said_to_a_pipe_that_nobody_reads_any_more(tmp_path: Path) -> None:
    """As of ``promptable labels render labels.yaml | head -0``."""
    file = tmp_path / "labels.yaml"
    file.write_text("- name: rust\n  type: mask\n")
    unread, pipe = os.pipe()
    os.close(unread)
    command = [sys.executable, "-m", "promptable", "labels", "render", str(file)]
    ended = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, check=False)  # noqa: S603
    os.close(pipe)
    assert ended.returncode == 141
    assert b"Broken pipe" not in ended.stderr
