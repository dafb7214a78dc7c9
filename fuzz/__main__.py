"""``make fuzz``: for some minutes, in a process of its own, which is watched.

``python -m fuzz --seconds 20 --light`` leaves the models out. ``python -m fuzz --case 7:123`` runs one case again.
"""

import argparse
import sys
import time

from fuzz.run import run_case
from fuzz.watch import targets, watched


def main() -> None:
    """Fuzz, and exit with 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="cases are the same for the same seed")
    parser.add_argument("--light", action="store_true", help="the readers of pictures, requests and labels alone")
    parser.add_argument("--case", help="only this one, by the name that a finding gave it")
    options = parser.parse_args()
    if options.case:
        findings = [finding] if (finding := run_case(targets(options.light), options.case)) else []
    else:
        findings = watched(options.seconds, options.seed, options.light)
    for finding in findings:
        print(f"case {finding.case}: {finding.what}", file=sys.stderr)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
