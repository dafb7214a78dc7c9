"""What commands over a CVAT server say where something is in their way, in place of a traceback."""

import base64
import io
import re
import sys
from pathlib import Path

import pytest

from promptable.cli.main import main
from promptable.cli.terminal import show
from promptable.cvat.effort.judging.verdicts import Verdict
from promptable.cvat.journal import JournalReader, journal_path
from tests.cvat import annotating, propagating
from toy.cvat.stand_in import StandIn

CREATED = "2026-01-02 03:04:05+00:00"


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def test_a_page_that_cannot_be_written_is_a_sentence_and_the_run_is_kept(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    annotating.prepare(cvat)
    (tmp_path / "file").touch()
    nowhere = str(tmp_path / "file" / "queue.html")
    where = ["--task", str(annotating.TASK), "--url", cvat.url, "--function", f"{cvat.url}/"]
    assert main(["annotate", *where, "--queue", nowhere]) == 1
    assert capsys.readouterr().err == f"promptable annotate: {tmp_path / 'file'}: File exists\n"
    assert JournalReader(journal_path(cvat.url, annotating.TASK, CREATED)).run(1).state == "finished"


def test_a_label_in_another_script_than_the_terminals(
    cvat: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    annotating.prepare(cvat)
    cvat.labels["task_id", annotating.TASK] = [("汽车", "any")]
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["stats", "--task", str(annotating.TASK), "--url", cvat.url]) == 0
    assert f"stats-task-{annotating.TASK}.html" in [file.name for file in tmp_path.iterdir()]


def test_the_folder_of_a_page_is_made(cvat: StandIn, tmp_path: Path) -> None:
    annotating.prepare(cvat)
    model = ["--function", f"{cvat.url}/"]
    for command, option, *more in (
        ("annotate", "--queue", *model, "--frames=7"),
        ("review", "--page"),
        ("stats", "--page"),
        ("effort", "--output", "--reviewed=all"),
    ):
        page = tmp_path / command / "pages" / "page.html"
        assert main([command, "--task", str(annotating.TASK), "--url", cvat.url, option, str(page), *more]) == 0
        assert page.exists()


@pytest.mark.parametrize("command", ["annotate", "propagate", "review", "effort"])
def test_a_journal_that_is_none_is_a_sentence(command: str, cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    annotating.prepare(cvat)
    path = journal_path(cvat.url, annotating.TASK, CREATED)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"spilt coffee " * 100)
    model = ["--function", cvat.url] if command in ("annotate", "propagate") else []
    assert main([command, "--task", str(annotating.TASK), "--url", cvat.url, *model]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"promptable {command}: the journal of this task is damaged (file is not a database)")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("stats", "--task", "3"), "it only reads, and no page was written"),
        (("effort", "--task", "3"), "it only reads, and no report was written"),
        (("review", "--task", "3"), "the same command does the rest"),
        (("segments", "--task", "3"), "the same command does the rest"),
        (("labels", "from-cvat", "--task", "3"), "no file was written"),
        (("warm", "--job", "1"), "what is encoded is kept: the same command is soon past it"),
    ],
)
def test_after_ctrl_c_commands_say_what_is_kept(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str], said: str
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("promptable.cvat.server.http.rest.Rest.request", interrupt)
    assert main([*command, "--url", cvat.url]) == 130
    assert capsys.readouterr().err == f"promptable {command[0]}: interrupted; {said}\n"


def test_names_of_others_do_nothing_to_a_terminal(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A label's name and a function's error come from whoever may write them."""
    attack = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b2J"

    def detect(request: dict[str, object]) -> object:
        if request["image"] == base64.b64encode(annotating.picture(7)).decode():
            raise ValueError(attack)
        return annotating.detect(request)

    annotating.prepare(cvat)
    cvat.labels["task_id", annotating.TASK].append((attack, "any"))
    cvat.answers = {"": detect}
    assert annotating.annotate(cvat, "--frames=6-7") == 3
    assert main(["stats", "--task", str(annotating.TASK), "--url", cvat.url, "--page", str(tmp_path / "s.html")]) == 0
    assert main(["stats", "--task", "99", "--url", f"{cvat.url}/{attack}"]) == 1
    said = capsys.readouterr()
    assert "]52;c;ZXZpbA==" in said.out
    assert "frame 7 failed" in said.err
    assert not set("\x1b\x07\x9b") & set(said.out + said.err)


@pytest.mark.parametrize("option", ["--undo", "--review"])
def test_run_0_is_no_run(option: str, cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    propagating.prepare(cvat)
    propagating.draw(cvat, [10, 20, 30, 40])
    assert propagating.propagate(cvat, option, "0") == 1
    assert "there is no run 0 of this task; those there are: none" in capsys.readouterr().err


def test_a_link_and_a_word_are_whole_however_narrow_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    link = "http://127.0.0.1:18080/tasks/12/jobs/42?frame=18"
    show(("label", "unchanged", "look"), [("a red triangle that is somewhere", 3, link)])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.rstrip().endswith(link) for line in lines)
    assert "unchanged" in lines[0]
    assert all(word in " ".join(lines) for word in ("triangle", "somewhere"))
    show(("label", "found"), [("a red triangle that is somewhere", 3)])
    assert max(map(len, capsys.readouterr().out.splitlines()[1:])) <= 40


def test_links_that_leave_the_words_no_room_go_below_their_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("red star", what, 1, f"http://127.0.0.1:18080/tasks/12/jobs/42?frame={what[-1]}") for what in _UNSURE]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    show(("label", "least sure", "doubts", "frame"), rows)
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        words for row in rows for words in ([*f"red star {row[1]} 1".split()], [row[3]])
    ]
    monkeypatch.setenv("COLUMNS", "120")
    show(("label", "least sure", "doubts", "frame"), rows)
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]] == [row[3] for row in rows]


_UNSURE = ("missing? score 0.32, threshold 0.35", "score 0.36, threshold 0.37")


def test_columns_move_together_before_lines_are_too_long_and_no_line_ends_in_spaces(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show(("label", "automatic", *Verdict), [("a red triangle", 3, *range(7)), ("all", 3, *range(7))])
    lines = capsys.readouterr().out.splitlines()
    assert max(len(re.sub(r"\x1b\[\d*m", "", line)) for line in lines) <= 80
    show(("where", "what"), [("http://127.0.0.1:18080/tasks/12/jobs/42?frame=18" + 40 * "x", "two words"), ("a", "b")])
    lines += capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.rstrip() != line] == []


@pytest.mark.parametrize(
    "command",
    [
        ("annotate", "--function", "http://127.0.0.1:1", "--frames"),
        ("preview", "--function", "http://127.0.0.1:1", "--frames"),
        ("effort", "--reviewed"),
    ],
)
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("some", "expected numbers and ranges such as 0-99,120,200-, got 'some'"),
        ("0-9,40-20", "expected ranges such as 0-99, the lower number first, got '40-20'"),
    ],
)
def test_frames_that_are_none_are_a_wrong_option_before_anything_is_asked(
    cvat: StandIn, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], given: str, why: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main([*command, given, "--task", "4", "--url", cvat.url])
    assert left.value.code == 2
    said = f"argument {command[-1]}: {why}"
    assert said in " ".join(capsys.readouterr().err.split())
    assert not cvat.asked
