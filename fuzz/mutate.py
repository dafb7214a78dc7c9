"""Small changes to bytes and to JSON values, by a random generator of their own, so that a case can be had again."""

import copy
from random import Random
from typing import Any

_NUMBERS = [0, 1, 2, 4, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1]
_ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 0.5, -0.0, 1e-320, 1e6, 1e308, 2**31, 2**63, 10**30),
    *(float("nan"), float("inf"), float("-inf"), "", "a", "NaN", "\x00", "\ud800", "🙂" * 50, "9" * 400),
    *([], {}, [[]], [None], {"": None}, [[[[[[]]]]]], [0] * 300),
]


def mutated_bytes(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    """One to four changes; ``others`` lend pieces."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        _change(rng, changed, others)
    return bytes(changed)


def _change(rng: Random, data: bytearray, others: list[bytes]) -> None:
    """Most changes are near the beginning, where headers are."""
    at = rng.randrange(len(data) + 1) if rng.random() < 0.4 else rng.randrange(min(len(data), 64) + 1)
    match rng.randrange(7):
        case 0 if at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            size = rng.choice([1, 2, 4])
            number = (rng.choice(_NUMBERS) + rng.randrange(-1, 2)) % 256**size
            data[at : at + size] = number.to_bytes(size, rng.choice(["little", "big"]))
        case 2:
            del data[at : at + rng.choice([1, 2, 7, 64, 1000])]
        case 3:
            data[at:at] = data[at : at + rng.choice([1, 4, 40, 400])] * rng.choice([1, 3, 50])
        case 4:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            data[at : at + rng.choice([0, 16, 256])] = other[start : start + rng.choice([4, 16, 256])]
        case 5:
            data[at:] = data[at:][: rng.randrange(len(data) + 1)]
        case _:
            data[at : at + 8] = rng.randbytes(rng.randrange(9))


def mutated_json(rng: Random, value: Any) -> Any:
    """One to three changes somewhere inside a value of dicts and lists."""
    changed = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 2, 3])):
        changed = _with_change(rng, changed)
    return changed


def _with_change(rng: Random, value: Any) -> Any:
    """The value with one of its parts, at any depth, changed; a leaf becomes another."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.05:
        return _other(rng, value)
    key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    match rng.randrange(8):
        case 0:
            del value[key]
        case 1 if isinstance(value, list):
            value.extend([copy.deepcopy(value[key])] * rng.choice([1, 2, 40]))
        case 1 | 2 if isinstance(value, dict):
            value[rng.choice([*value, "extra", ""])] = copy.deepcopy(rng.choice([*value.values(), *_ODD]))
        case _:
            value[key] = _with_change(rng, value[key])
    return value


def _other(rng: Random, value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.5:
        return rng.choice([-value, value * 1000, value + 0.5, value / 3, str(value)])
    if isinstance(value, str) and value and rng.random() < 0.5:
        at = rng.randrange(len(value))
        return rng.choice([value[:at], value[at:], value[:at] + "=" + value[at:], value * 2])
    return copy.deepcopy(rng.choice(_ODD))
