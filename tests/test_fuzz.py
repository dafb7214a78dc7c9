"""Some seconds of ``make fuzz``, without the models; its findings become tests beside what they are about."""

import subprocess
import sys
from random import Random

from fuzz.run import run, run_case
from fuzz.targets import light_targets


def test_nothing_is_found_in_some_seconds() -> None:
    done = subprocess.run([sys.executable, "-m", "fuzz", "--light", "--seconds", "20"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_goes_wrong_is_found_and_can_be_had_again() -> None:
    def failing(rng: Random) -> None:
        if rng.random() < 0.5:
            raise KeyError("lost")

    _, findings = run([failing], 0.05, seed=1)
    assert findings
    assert "KeyError: 'lost'" in findings[0].what
    assert run_case([failing], findings[0].case) is not None


def test_cases_are_the_same_for_the_same_name() -> None:
    seen: list[float] = []
    for _ in range(2):
        run_case([lambda rng: seen.append(rng.random())], "3:7")
    assert seen[0] == seen[1]
    assert len(light_targets()) > 1
