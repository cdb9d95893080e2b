"""A body's fingerprint: by it one that was sent is known again in the request history."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

_sorted = msgspec.json.Encoder(order="sorted")


def fingerprint(body: Any) -> str:
    """Return 64 hexadecimal digits that two bodies share if and only if they are the same JSON value."""
    return hashlib.sha256(_sorted.encode(_canonical(body))).hexdigest()


def _canonical(value: Any) -> Any:
    """Return *value* with whole numbers as integers: 2 and 2.0 are one number in JSON."""
    if isinstance(value, Mapping):
        return {name: _canonical(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
