"""``promptable deploy``: bring the functions into CVAT's model list."""

import argparse
import signal
import tempfile
from pathlib import Path
from types import FrameType

_REPOSITORY = Path(__file__).parents[3]
_USAGE = """
  ./deploy.sh [FUNCTION...] [OPTION...]      build, deploy, check, send two real requests, print a table
  ./deploy.sh status   [FUNCTION...]         what runs, and what Nuclio tells CVAT of it
  ./deploy.sh logs     [FUNCTION...]         follow a function's log
  ./deploy.sh rollback [FUNCTION...]         back to what was deployed before; once more: forward again;
                                             no name: each function that has a version before
  ./deploy.sh remove   [FUNCTION...]         out of CVAT's model list; the images stay"""
_MORE = """
Each run deploys exactly what its options say: repeat --labels and --model with every deployment that should keep them.
Before anything is touched the machine is checked, and every problem is printed with its remedy. If the new version does
not come up or answers wrongly, its log is printed and the one before is brought back, whoever deployed it. Running the
same command twice changes nothing; after an interruption, run it again.

Examples
  ./deploy.sh --dry-run
  ./deploy.sh --gpu --labels labels.yaml --cvat-url http://localhost:8080
  ./deploy.sh grounding-dino --labels labels.yaml --no-build
  ./deploy.sh sam-interactor --model sam2.1-tiny --cpu
  ./deploy.sh --platform kube --registry registry.example.com/cvat --toleration nvidia.com/gpu:NoSchedule

Files: what is deployed, and what was before, is kept in ${XDG_STATE_HOME:-~/.local/state}/promptable/.
`promptable deploy`, in the checkout's own environment, is the same command as ./deploy.sh."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from promptable.deploy import options

    parser.usage = _USAGE
    parser.epilog = _MORE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.allow_abbrev = False
    options.add_arguments(parser, options.all_functions(_REPOSITORY))
    parser.set_defaults(run=_deploy)


def _deploy(parsed: argparse.Namespace) -> int:
    from promptable.deploy import options
    from promptable.deploy.actions import Run
    from promptable.deploy.console import Console, StoppedError

    chosen = options.read(parsed)
    console = Console(chosen.dry_run)
    wrong = list(options.problems(chosen, options.all_functions(_REPOSITORY)))
    console.problems(iter(wrong))
    if wrong:
        return 1
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="promptable-deploy-") as work:
            Run(chosen, console, _REPOSITORY, Path(work))()
    except StoppedError:
        return 1
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        console.problem(f"{where}{error.strerror or error}", "is there room, and may this user write there?")
        return 1
    except KeyboardInterrupt:
        console.warn("interrupted: run the same command again; a function that is half deployed is cleared then")
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
