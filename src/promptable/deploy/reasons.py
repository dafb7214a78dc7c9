"""Why a tool failed, in the words of its output: docker, nuctl and kubectl hide it in hints and call stacks."""

import re
from collections.abc import Sequence

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_NOISE = re.compile(
    r"\s*$|Run '.* --help'|See '.* --help'|std(out|err):|Call stack:|\s*\S+\.go:\d+$|-+$"
    r"|Error - (exit status \d+|NuclioFunction in \w+ state:)$|Unable to find image .* locally$"
    r"|\d\d\.\d\d\.\d\d \d\d:\d\d:\d\d.* \([DIW]\)|[EIW]\d{4} \d\d:\d\d:\d\d\."
)
"""Lines of docker, nuctl and kubectl that do not say why something failed."""
_BUILD_TIME = re.compile(r"^\d+\.\d+ ")


def uncoloured(text: str) -> str:
    """The text without a terminal's colours, which a file and rich show as letters."""
    return _ANSI.sub("", text)


def reason(output: str) -> str:
    """The line of a tool's output that says why it failed."""
    lines = [line.rstrip() for line in uncoloured(output).splitlines()]
    if step := _failed_step(lines):
        return step
    telling = [line.strip() for line in lines if not _NOISE.match(line)]
    errors = [line for line in telling if re.search(r"error response|\berror\b", line, re.IGNORECASE)]
    return (errors or telling[-1:] or ["it said nothing"])[0]


def _failed_step(lines: Sequence[str]) -> str:
    """What the step of a Dockerfile said last before the build failed: BuildKit repeats it between two rules."""
    rules = [number for number, line in enumerate(lines) if line == "------"]
    if len(rules) < 2:
        return ""
    said = [_BUILD_TIME.sub("", line) for line in lines[rules[0] + 2 : rules[1]] if line.strip()]
    return said[-1] if said else ""
