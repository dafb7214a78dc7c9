"""Options that are wrong whatever CVAT has: exit code 2, and no server or function is asked."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from promptable.cli.main import main
from promptable.cvat.local_function import LocalFunction
from promptable.cvat.server.errors import CvatError
from toy.cvat.stand_in import StandIn

FUNCTION = ("--function", "http://127.0.0.1:1")
OWN = "--local has no labels of its own: --labels FILE names those to look for"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("propagate", "--task", "1", "--to", "8", "--both"), "--to ends one direction, and --both has two"),
        (("propagate", "--task", "1", "--backward"), "--backward: no frame lies before the first: --from N names"),
        (("propagate", "--task", "1", "--from", "5", "--to", "2"), "--to 2 lies before --from 5: --backward follows"),
        (
            ("propagate", "--task", "1", "--from", "5", "--to", "9", "--backward"),
            "--to 9 lies behind --from 5: without --backward",
        ),
        (("propagate", "--task", "1", "--every", "5"), "--every says how often --detect looks"),
        (
            ("propagate", "--task", "1", *FUNCTION, "--detect"),
            "--detect: expected the detector's URL beside --function",
        ),
        (("propagate", "--task", "1", "--local", "--detect"), OWN),
        (("annotate", "--task", "1", "--local"), OWN),
        (("annotate", "--images", ".", "--labels", "labels.yaml"), "--images: say where the result goes with --output"),
        (
            ("annotate", "--images", ".", "--output", "out"),
            "expected a model: --function URL, --via-cvat NAME or --local",
        ),
        (("preview", "--images", ".", "--local"), OWN),
        (
            ("preview", "--images", ".", *FUNCTION, "--variant", "v=a.yaml", "--variant", "v=b.yaml"),
            "--variant: two are called 'v'",
        ),
        (
            ("preview", "--images", ".", *FUNCTION, "--labels", "v.yaml", "--variant", "v=b.yaml"),
            "--variant: two are called 'v'",
        ),
        (
            ("preview", "--images", ".", *FUNCTION, "--output", "x.json"),
            "--output names the page, and its JSON lies beside it: x.html",
        ),
        (("preview", "--task", "1", "--local", "--variant", "a=l.yaml", "--variant", "b=@swin-t"), OWN),
        (("preview", "--images", ".", *FUNCTION, "--frames", "1-3"), "--frames of a folder is a count"),
        (("preview", "--images", ".", "--via-cvat", "dino"), "expected a task or a job, not a folder of pictures"),
        (("stats", "--task", "1", "--url", "localhost", "--server-port", "80"), "--url and --server-host say the same"),
        (("stats", "--task", "1", "--url", "localhost", "--profile", "work"), "--profile says where CVAT is"),
    ],
)
def test_wrong_options_have_a_sentence_and_a_status_of_their_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Sequence[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert main(command) == 2
    assert sentence in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "command",
    [
        *[(name, "--task") for name in ("annotate", "preview", "propagate", "review", "effort", "segments", "stats")],
        ("annotate", "--project"),
        ("labels", "from-cvat", "--project"),
        ("warm", "--job"),
    ],
)
@pytest.mark.parametrize("number", ["0", "-3", "seven"])
def test_what_is_no_number_of_cvats_is_a_wrong_option(
    capsys: pytest.CaptureFixture[str], command: Sequence[str], number: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main([*command[:-1], f"{command[-1]}={number}", *(["--local"] if "preview" in command else [])])
    assert left.value.code == 2
    assert f"argument {command[-1]}: expected a whole number above 0, got {number!r}" in capsys.readouterr().err


def test_a_project_without_tasks_says_so(cvat: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    cvat.labels = {("project_id", 1): [("rust", "any")]}
    for command in ("annotate", "review", "effort", "stats"):
        assert main([command, "--project", "1", "--url", cvat.url]) == 0
        assert "project 1 has no tasks" in capsys.readouterr().out


def test_what_is_downloaded_is_where_local_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROMPTABLE_WEIGHTS", "")
    with pytest.raises(CvatError, match=r"weights/groundingdino.* is missing: promptable download swin-t") as missing:
        LocalFunction("detector")
    assert "/opt" not in str(missing.value)
