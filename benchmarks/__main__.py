"""``make bench``: each finished row at once, then a table of all ratios; ``out/bench`` keeps a page and JSON.

``python -m benchmarks interactor --quick`` runs one of them, on the smaller models only.
"""

import argparse
import signal
import sys
from importlib import import_module

from promptable.models.cores import openmp

_NAMES = (
    "interactor",
    "interactor_stages",
    "detector",
    "tracker",
    "replicas",
    "side_by_side",
    "keyframes",
    "annotate",
    "warm",
    "propagate",
    "whole_task",
    "startup",
    "load",
)
_ALONE = ("large", "gpu")
"""Not part of ``make bench``: the large models take too long, ``gpu`` is ``make bench-gpu``."""


def main() -> int:
    """Run the benchmarks that the command line names, or all; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed against the upstream packages.")
    known = *_NAMES, *_ALONE
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; none means all but large and gpu"
    )
    parser.add_argument("--quick", action="store_true", help="the smaller models only, and less of everything")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to load the functions (default: 2)")
    parsed = parser.parse_args()
    if unknown := set(parsed.names) - set(known):
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}: expected {', '.join(known)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does
    openmp.prepare()  # before PyTorch is imported
    if "gpu" in parsed.names:
        print(import_module("benchmarks.machine").line(), flush=True)
        import_module("benchmarks.gpu").run(parsed.quick)
    if names := [name for name in parsed.names or _NAMES if name != "gpu"]:
        runner = import_module("benchmarks.runner")
        more = {"load": {"minutes": parsed.minutes}}
        status: int = runner.run([runner.planned(name, parsed.quick, **more.get(name, {})) for name in names])
        return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
