"""``python -m tests.golden.record [FILE]`` writes this tree's answers; without FILE, to be committed.

To the byte, where a change must leave no trace: record into a FILE before and after it, and ``cmp`` the two.
"""

import sys
from pathlib import Path

import tests.conftest  # noqa: F401 - the threads of the tests, before torch starts any
from tests.golden.replay import ANSWERS, lines

if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ANSWERS
    target.write_text("".join(lines()))
    print(f"{target}: {target.stat().st_size / 1024:.0f} KiB")
