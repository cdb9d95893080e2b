"""How fast status calls may follow each other: halved by a 429, recovered step by step."""

from dataclasses import dataclass, replace

BURST_S = 0.05
"""What was not used in so many seconds may be used at once."""

REST_S = 1.0
"""Nothing is asked for so long after a 429 that names no time; it also counts as one with those that follow in it."""

LEAST_PER_SECOND = 1.0

STEPS = 100
"""Answers that it takes to recover from a stop."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A limit of its own for calls that cost nothing, so that they take nothing from those that matter.

    Attributes:
        most: Calls a second when nobody complains.
        per_second: Calls a second now.
        free_at_s: Moment from which the next call may go.
        resting_until_s: Moment until which none may go.
    """

    most: float
    per_second: float
    free_at_s: float = 0.0
    resting_until_s: float = 0.0

    def taken(self, now_s: float) -> tuple[float, "Pace"]:
        """Return seconds to wait before one more call, and the pace after it."""
        at_s = max(now_s, self.free_at_s, self.resting_until_s)
        free_at_s = max(self.free_at_s, at_s - BURST_S) + 1 / self.per_second
        return at_s - now_s, replace(self, free_at_s=free_at_s)

    def slowed(self, now_s: float, rest_s: float | None) -> "Pace":
        """Return the pace after a 429 that asked for a rest of *rest_s* seconds."""
        until_s = max(self.resting_until_s, now_s + (REST_S if rest_s is None else rest_s))
        if now_s < self.resting_until_s:
            return replace(self, resting_until_s=until_s)
        return replace(self, per_second=max(LEAST_PER_SECOND, self.per_second / 2), resting_until_s=until_s)

    def recovered(self) -> "Pace":
        """Return the pace after an answer."""
        if self.per_second >= self.most:
            return self
        return replace(self, per_second=min(self.most, self.per_second + self.most / STEPS))
