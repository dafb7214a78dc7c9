"""Sentences of errors between a command and a server."""

import pytest

from promptable.cvat.server.errors import CvatError, going_on


@pytest.mark.parametrize(
    ("error", "said"),
    [("no answer: is it up?", "is it up? What"), ("it refused.", "refused. What"), ("it refused", "refused. What")],
)
def test_what_goes_on_follows_as_a_sentence(error: str, said: str) -> None:
    with pytest.raises(CvatError) as raised, going_on():
        raise CvatError(error, 502)
    assert said in str(raised.value)
    assert raised.value.status == 502
