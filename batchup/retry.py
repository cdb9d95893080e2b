"""When to try again: exponential waits with full jitter, decided in pure code."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from batchup.errors import TransientError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how late an attempt that met a TransientError is repeated.

    Attributes:
        attempts: Submissions of one task in all, the first included.
        initial_s: Upper end of the first wait, in seconds.
        max_s: Upper end of any wait, in seconds.
        multiplier: From one upper end to the next.
        uniform: Draws from a range; an argument so that a test can choose.

    Source: full jitter as in https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/,
    read 2026-11.
    """

    attempts: int = 5
    initial_s: float = 1.0
    max_s: float = 120.0
    multiplier: float = 2.0
    uniform: Callable[[float, float], float] = random.uniform

    def wait_s(self, attempt: int, error: TransientError) -> float | None:
        """Return seconds to wait after *attempt* (from 1), or None to give up."""
        if attempt >= self.attempts:
            return None
        # The exponent is capped because 2.0**1024 overflows a float.
        ceiling_s = min(self.max_s, self.initial_s * self.multiplier ** min(attempt - 1, 64))
        return max(self.uniform(0.0, ceiling_s), error.retry_after_s or 0.0)

    def limited_s(self, waits: int, error: TransientError) -> float:
        """Return seconds to wait where somebody asked for it for the *waits*-th time (from 1).

        That is waiting, not failing: it is never given up.
        """
        return replace(self, attempts=waits + 1).wait_s(waits, error) or 0.0
