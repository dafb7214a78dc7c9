"""Where the package's own log goes: nuclio-sdk's logger belongs to the handler, which store and cache do not know."""

import logging
import sys

_PACKAGE = logging.getLogger("promptable")


def log_to_stderr() -> None:
    """Write what the package logs, from level info on, to stderr.

    Nuclio's processor passes a worker's stderr on to the container's (nuclio/nuclio
    pkg/processor/runtime/python/runtime.go), and its wrapper sets up no logger but its own.
    """
    if not _PACKAGE.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        _PACKAGE.addHandler(handler)
        _PACKAGE.setLevel(logging.INFO)
