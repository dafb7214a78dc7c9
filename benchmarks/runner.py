"""Runs benchmarks row by row. What is finished is saved at once; where one fails, the others still run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from time import perf_counter
from traceback import print_exception

from benchmarks import machine, screen
from benchmarks.measure import FOLDER, Measurement, save
from benchmarks.screen import Screen
from benchmarks.summary import page, text
from benchmarks.summary.result import Result, as_json

_LOG = FOLDER / "log.txt"
_FAILED, _INTERRUPTED = 1, 130


@dataclass(frozen=True)
class Benchmark:
    """What is measured under a name."""

    name: str
    about: str
    measurements: Sequence[Measurement]

    @property
    def rows(self) -> int:
        """How many there will be."""
        return sum(each.rows for each in self.measurements)


def planned(name: str, quick: bool, **more: float) -> Benchmark:
    """The benchmark of the module of this name."""
    module = import_module(f"benchmarks.{name}")
    (about, *_) = str(module.__doc__).splitlines()
    return Benchmark(name, about.replace("``", ""), module.measurements(quick, **more))


def run(benchmarks: Sequence[Benchmark]) -> int:
    """Measure all; the exit status is 1 if one failed, 130 after Ctrl-C."""
    results: list[Result] = []
    with screen.running(sum(each.rows for each in benchmarks), _LOG) as shown:
        described = machine.described()
        for key, value in described.items():
            shown.show(f"{key:10} {value}")
        try:
            for benchmark in benchmarks:
                results.append(Result(benchmark.name, benchmark.about))
                _run(benchmark, results[-1], shown)
        except KeyboardInterrupt:
            results[-1].failure = "interrupted"
            return _INTERRUPTED
        finally:
            _finish(described, results, shown)
    return _FAILED if any(result.failure for result in results) else 0


def _run(benchmark: Benchmark, result: Result, shown: Screen) -> None:
    shown.show(f"\n{benchmark.name}: {benchmark.about}")
    with _clocked(result), _noted(result):
        for measurement in benchmark.measurements:
            shown.begin(benchmark.name, measurement.what)
            for row in measurement.measure():
                result.rows.append(row)
                shown.show(text.line(row))
                shown.advance(1)
                save(benchmark.name, [asdict(each) for each in result.rows])
    shown.advance(benchmark.rows - len(result.rows))


@contextmanager
def _clocked(result: Result) -> Iterator[None]:
    started = perf_counter()
    try:
        yield
    finally:
        result.seconds = perf_counter() - started


@contextmanager
def _noted(result: Result) -> Iterator[None]:
    """What goes wrong with one benchmark is said, and ends this one only."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        print_exception(error)
        result.failure = f"failed: {type(error).__name__}: {error}; {_LOG} has more"


def _finish(described: Mapping[str, str], results: Sequence[Result], shown: Screen) -> None:
    (FOLDER / "summary.json").write_text(as_json(described, results))
    (FOLDER / "summary.html").write_text(page.render(described, results))
    if any(row.ratio is not None for result in results for row in result.rows):
        shown.show("\nHow many times as fast as the plain way:\n")
        shown.show(text.ratios(results))
    shown.show()
    for result in results:
        shown.show(text.ending(result))
    shown.show(f"\n{FOLDER}/summary.html has all of it, summary.json and a file for each benchmark the figures")
