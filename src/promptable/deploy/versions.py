"""Version numbers in what tools and images say."""

import re


def numbers(version: str) -> tuple[int, ...]:
    """(29, 7, 2) of ``29.7.2``, ``v29.7.2-rc.1`` or ``20.10.24+dfsg1``; empty without a number."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def tag_version(image: str) -> str:
    """``1.15.9`` of ``quay.io/nuclio/dashboard:1.15.9-amd64``."""
    return image.rpartition(":")[2].partition("-")[0]
