"""Pictures of a folder instead of a task's: the same run and the same journal, and COCO at the end."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from promptable.cvat.annotate.coco import write_coco
from promptable.cvat.annotate.detector import Detector
from promptable.cvat.annotate.picture_files import pictures_of, read_picture
from promptable.cvat.annotate.pipeline import Fetched, Result, ask_all
from promptable.cvat.annotate.run import begin, give_up, record_results, unfinished
from promptable.cvat.functions import Picture
from promptable.cvat.journal import Journal, Run
from promptable.cvat.pages.pictures import shown_hw
from promptable.cvat.progress import Progress
from promptable.cvat.server.errors import CvatError, going_on

_NOWHERE = 0
"""The job of pictures that are in none."""


def annotate_folder(
    folder: Path, output: Path, detector: Detector, concurrency: int, progress: Progress, *, new_run: bool = False
) -> tuple[Journal, Run, Path]:
    """Begin a run or go on with it, to its end: the journal (to be closed), the run, and the COCO file.

    ``detector.options.pictures`` is the digest of the folder's. Raises CvatError.
    """
    files = pictures_of(folder)
    output.mkdir(parents=True, exist_ok=True)
    journal = Journal(output / "journal.sqlite")
    with journal.alone():
        if new_run:
            give_up(journal)
        run = unfinished(journal, detector) or begin(journal, detector, ((_NOWHERE, i) for i in range(len(files))))
        journal.wait_again_for_failed(run.id)
        waiting = journal.frames(run.id, "waiting")
        bar = progress.begin("pictures", len(waiting))
        results = ask_all(map(Fetched, waiting), lambda one: _ask(detector, files, folder, one.frame), concurrency)
        with going_on():
            for _ in record_results(results, journal, run, bar):
                pass  # there is no server to upload to
        path = output / "annotations" / "instances_default.json"
        write_coco(path, journal, run.id, list(_described(files, folder)), detector.described.labels)
        journal.end(run.id, "finished")
    return journal, run, path


def _ask(detector: Detector, files: Sequence[Path], folder: Path, number: int) -> Result:
    name = str(files[number].relative_to(folder))
    try:
        data = read_picture(files[number])
        return Result(number, detector.ask(Picture(name, lambda: data), shown_hw(data)))
    except CvatError as error:
        return Result(number, error=error)


def _described(files: Sequence[Path], folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Names and sizes; a picture that cannot be read has none of the latter."""
    for file in files:
        try:
            hw = shown_hw(file.read_bytes())
        except (OSError, CvatError):
            hw = (0, 0)
        yield file.relative_to(folder).as_posix(), hw
