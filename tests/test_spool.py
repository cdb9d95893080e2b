"""A list of values on the disk."""

from random import Random

import msgspec
import pytest

from batchup.spool import AHEAD_BYTES, Spool


class Value(msgspec.Struct):
    number: int
    text: str


@pytest.fixture
def value():
    """Return the value of a number: of very different lengths, some of them longer than what is read at once."""
    return lambda number: Value(number, "x" * (number % 400 if number % 100 else AHEAD_BYTES + number))


def test_values_come_back_in_any_order_also_while_more_are_added(value):
    spool, rng = Spool(Value), Random(1)

    for number in range(1000):
        spool.append(value(number))
        for one in (number, rng.randrange(number + 1), number // 2, number // 2 + 1):
            if one <= number:
                assert spool[one] == value(one)

    assert list(spool) == [value(number) for number in range(1000)]
    assert list(spool.pick([999, 0, 1, 2, 500])) == [value(number) for number in (999, 0, 1, 2, 500)]


def test_two_who_read_at_once_do_not_disturb_each_other(value):
    spool = Spool(Value)
    for number in range(500):
        spool.append(value(number))

    pairs = list(zip(spool, spool.pick(range(499, -1, -1)), strict=True))

    assert [(one.number, other.number) for one, other in pairs] == [(n, 499 - n) for n in range(500)]
