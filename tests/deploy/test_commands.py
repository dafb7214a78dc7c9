"""The line that says why a tool failed, in what docker, nuctl and kubectl really print."""

import sys

import pytest

from promptable.deploy.commands import CommandError, ask, run
from promptable.deploy.reasons import reason

NO_GPU = """docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].

Run 'docker run --help' for more information
"""
NO_IMAGE = """26.11.26 03:55:12.099 \x1b[33m(W)\x1b[0m nuctl Failed to create a function {"err": "Failed"}

Error - exit status 125
    .../src/nuclio/pkg/cmdrunner/shellrunner.go:114

Call stack:
stdout:
Unable to find image 'nothing:here' locally
docker: Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: no such host

Run 'docker run --help' for more information

stderr:

    .../src/nuclio/pkg/cmdrunner/shellrunner.go:114
Failed to run a Docker container
    .../src/nuclio/pkg/platform/local/platform.go:992
Failed to deploy function
    .../src/nuclio/pkg/platform/abstract/platform.go:236
"""
NOT_REACHED = """
Error - Failed to get functions
    /nuclio/pkg/nuctl/command/get.go:90

Call stack:
Failed to get functions
    /nuclio/pkg/nuctl/command/get.go:90
"""
NO_CLUSTER = """E1126 18:19:40.634016    3111 memcache.go:265] "Unhandled Error" err="couldn't get current server API \
group list: Get \\"https://127.0.0.1:1/api?timeout=32s\\": dial tcp 127.0.0.1:1: connect: connection refused"
The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?
"""
UNHEALTHY = """26.11.26 18:17:27.855 \x1b[33m(W)\x1b[0m nuctl Function deployment failed, setting state to unhealthy.

Error - NuclioFunction in unhealthy state:

Error - context deadline exceeded
    .../platform/kube/controller/nucliofunction.go:282

Call stack:
Failed to wait for function resources to be available
    .../platform/kube/controller/nucliofunction.go:282
"""
BUILD = """#12 [packages 2/2] RUN sh /install-packages.sh
#12 1.204 ERROR: Could not find a version that satisfies the requirement torch
#12 ERROR: process "/bin/sh -c sh /install-packages.sh" did not complete successfully: exit code: 1
------
 > [packages 2/2] RUN sh /install-packages.sh:
1.204 Looking in indexes: https://example.com/simple
1.204 ERROR: No matching distribution found for torch==2.11.0+cpu
------
Dockerfile:18
--------------------
  17 |     # pip's cache
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c sh" did not complete successfully: exit code: 1
"""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (NO_GPU, 'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].'),
        (
            NO_IMAGE,
            'docker: Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: no such host',
        ),
        (NOT_REACHED, "Error - Failed to get functions"),
        (NO_CLUSTER, "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?"),
        (UNHEALTHY, "Error - context deadline exceeded"),
        (BUILD, "ERROR: No matching distribution found for torch==2.11.0+cpu"),
        ("something\nstrange\n", "strange"),
        ("", "it said nothing"),
    ],
)
def test_the_line_that_says_why(said: str, why: str) -> None:
    assert reason(said) == why


def test_a_tool_that_is_not_there() -> None:
    said = ask("promptable-has-no-such-tool")
    assert (said.status, said.why) == (127, "promptable-has-no-such-tool: No such file or directory")


def test_a_tool_that_does_not_answer_is_named() -> None:
    hangs = (sys.executable, "-c", "import time; time.sleep(600)")
    said = ask(*hangs, seconds=0.1)
    assert (said.status, said.why) == (
        124,
        f"{sys.executable} -c 'import time; time.sleep(600)' did not answer in 0.1 s",
    )


def test_news_are_told_line_by_line_and_a_failure_with_its_reason() -> None:
    news: list[str] = []
    with pytest.raises(CommandError, match=r"^broken$"):
        run(["/bin/sh", "-c", "echo fine; echo broken >&2; exit 3"], news.append)
    assert news == ["fine\n", "broken\n"]


def test_a_log_need_not_be_utf8() -> None:
    said = ask(sys.executable, "-c", r"import os; os.write(1, b'half of \xe2')")
    assert said.out == "half of \N{REPLACEMENT CHARACTER}"
