"""When to try again."""

import pytest

from batchup.errors import TransientError
from batchup.retry import RetryPolicy


def upper(_low, high):
    return high


@pytest.mark.parametrize(
    ("attempt", "wait_s"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, None), (6, None)]
)
def test_waits_double_until_the_attempts_are_used(attempt, wait_s):
    policy = RetryPolicy(attempts=5, initial_s=1, max_s=120, multiplier=2, uniform=upper)

    assert policy.wait_s(attempt, TransientError("", kind="x")) == wait_s


def test_no_wait_is_longer_than_the_maximum_even_after_a_thousand_attempts():
    policy = RetryPolicy(attempts=5000, initial_s=1, max_s=120, multiplier=2, uniform=upper)

    assert policy.wait_s(2000, TransientError("", kind="x")) == 120


def test_the_jitter_is_full_so_waits_begin_at_zero():
    policy = RetryPolicy(uniform=lambda low, _high: low)

    assert policy.wait_s(3, TransientError("", kind="x")) == 0


def test_a_server_that_says_how_long_is_believed():
    policy = RetryPolicy(uniform=upper, initial_s=1)

    assert policy.wait_s(1, TransientError("", kind="x", retry_after_s=30)) == 30


def test_who_is_asked_to_wait_waits_longer_each_time_and_is_never_given_up():
    policy = RetryPolicy(attempts=1, initial_s=1, max_s=8, multiplier=2, uniform=upper)

    waits = [policy.limited_s(number, TransientError("", kind="x")) for number in range(1, 7)]

    assert waits == [1, 2, 4, 8, 8, 8]
