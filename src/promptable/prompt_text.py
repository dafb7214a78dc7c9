"""When two prompts are the same to Grounding DINO."""

import re

_SEPARATORS = re.compile(r"[.?]")


def normalise(prompt: str) -> str:
    """Lower case, single spaces, also for "_", and no "." or "?", at which upstream splits a caption into prompts.

    Raises ValueError when nothing is left.
    """
    text = " ".join(_SEPARATORS.sub(" ", prompt.lower()).replace("_", " ").split())
    if not text:
        raise ValueError(f"prompt {prompt!r} is empty: expected at least one word")
    return text
