"""``make bench``: each benchmark ends with a table and a JSON file in out/bench/.

``python -m benchmarks interactor --quick`` runs one of them, on the smaller models only.
"""

import argparse
from importlib import import_module

from promptable.models.runtime import openmp

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
_ALONE = ("gpu",)
"""Not part of ``make bench``: ``make bench-gpu``."""


def main() -> None:
    """Run the benchmarks that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed against the upstream packages.")
    known = *_NAMES, *_ALONE
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; none means all but gpu")
    parser.add_argument("--quick", action="store_true", help="the smaller models only")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to load the functions (default: 2)")
    parsed = parser.parse_args()
    if unknown := set(parsed.names) - set(known):
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}: expected {', '.join(known)}")
    openmp.prepare()
    print(import_module("benchmarks.machine").line(), flush=True)  # after OpenMP is set up, since it imports torch
    for name in parsed.names or _NAMES:
        more = {"minutes": parsed.minutes} if name == "load" else {}
        import_module(f"benchmarks.{name}").run(parsed.quick, **more)


if __name__ == "__main__":
    main()
