"""A run of benchmarks: rows at once, failures named, nothing lost."""

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from types import ModuleType

import pytest

from benchmarks import annotate, propagate, runner, tracker_scene, turns
from benchmarks.measure import Measurement, Row, beside, in_fresh_process
from benchmarks.runner import Benchmark
from benchmarks.turns import Timed, in_turn, paired

Measure = Callable[[], Iterator[Row]]
FASTER = beside("one <click>", 3.0, 0.5, {"mask IoU": 0.998})


def _good() -> Iterator[Row]:
    yield FASTER


def _failing() -> Iterator[Row]:
    yield Row("memory", {"MB": 1234.5})
    os.write(1, b"said by a library\n")
    raise ValueError("no room")


def _interrupted() -> Iterator[Row]:
    yield FASTER
    raise KeyboardInterrupt


def _run(*measures: Measure) -> int:
    return runner.run([Benchmark(each.__name__, "What it is.", [Measurement("rows", each, 2)]) for each in measures])


@pytest.fixture(autouse=True)
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a run writes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "out" / "bench"


def test_one_that_fails_is_named_and_the_others_run(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert _run(_failing, _good) == 1
    printed = capfd.readouterr().out
    assert "6.00x" in printed
    assert "_failing: 1 rows in 0 s, failed: ValueError: no room" in printed
    assert "said by a library" not in printed
    log = (out / "log.txt").read_text()
    assert "said by a library" in log
    assert "Traceback" in log


def test_what_was_finished_before_ctrl_c_is_saved(out: Path) -> None:
    assert _run(_interrupted, _good) == 130
    saved = json.loads((out / "_interrupted.json").read_text())
    assert saved["rows"] == [{"what": "one <click>", "figures": dict(FASTER.figures), "ratio": 6.0}]
    (one,) = json.loads((out / "summary.json").read_text())["benchmarks"]
    assert one["failure"] == "interrupted"


def test_the_page_has_every_row_and_what_failed(out: Path) -> None:
    assert _run(_good, _failing) == 1
    page = (out / "summary.html").read_text()
    assert "one &lt;click&gt;" in page
    assert "1,234" in page
    assert "ValueError: no room" in page


def test_all_well_is_0() -> None:
    assert _run(_good) == 0


def _dies() -> None:
    os._exit(3)


def test_a_process_that_dies_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        in_fresh_process(_dies)


def _noting(way: str) -> Callable[[int], tuple[str, int, int, float]]:
    return lambda request: (way, request, os.getpid(), perf_counter())


def test_ways_take_turns_each_in_a_process_of_its_own() -> None:
    with in_turn({way: partial(_noting, way) for way in ("plain", "ours")}) as call:
        rounds = call([1, 2])
    answers = [timed.result for way in rounds.values() for timed in way]
    in_order = sorted(answers, key=lambda answer: answer[-1])
    assert [answer[:2] for answer in in_order] == [("plain", 1), ("ours", 1), ("plain", 2), ("ours", 2)]
    assert len({answer[2] for answer in answers}) == 2


def test_slow_ways_are_called_with_the_first_requests_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_ENOUGH_SECONDS", 0.0)
    with in_turn({"plain": partial(_noting, "plain")}) as call:
        assert [timed.result[1] for timed in call([1, 2, 3], at_least=2)["plain"]] == [1, 2]


def test_a_ratio_is_that_of_a_typical_pair_whatever_slows_one_of_them_down() -> None:
    plain, ours = ([Timed(each, None, 0.0) for each in seconds] for seconds in ([2.0, 20.0, 6.0], [1.0, 10.0, 1.0]))
    row = paired("a click", plain, ours, {"mask IoU": 1.0})
    assert row.ratio == 2.0
    assert row.figures == {"plain s": 6.0, "ours s": 1.0, "pairs": 3, "mask IoU": 1.0}


def test_what_stands_for_a_models_masks_is_not_drawn_while_a_frame_is_timed() -> None:
    assert all(one is other for one, other in zip(tracker_scene.discs(2), tracker_scene.discs(2), strict=True))


@pytest.mark.parametrize("benchmark", [annotate, propagate], ids=["annotate", "propagate"])
def test_the_commands_run_over_the_benchmarks_stand_in(benchmark: ModuleType) -> None:
    (row,) = benchmark._memory_row(3)
    assert row.figures["MB"] > 10
