"""Level: how many an account takes at once, found out from what it takes and refuses."""

from dataclasses import dataclass, replace

START = 4
"""So many are sent at once before anything is known of an account."""

STEP = 8
"""Then one more, for each so many that it has taken, is sent before the answers are in."""

QUIET_S = 0.1
"""Without a refusal for so long one more may be under way, as far as is known to be taken."""

PROBE_S = 120.0
"""Likewise beyond that; doubled by each such try that is refused, halved by each that is taken."""

PROBE_LEAST_S, PROBE_MOST_S = 1.0, 960.0


@dataclass(frozen=True, slots=True)
class Level:
    """How many an account takes at once, as far as is known.

    Additive increase, multiplicative decrease, as in Chiu and Jain, "Analysis of the Increase and Decrease Algorithms
    for Congestion Avoidance in Computer Networks", 1989; quick up to what was taken before and slow beyond, as in Ha,
    Rhee and Xu, "CUBIC: A New TCP-Friendly High-Speed TCP Variant", 2008.

    Attributes:
        most: The user's limit.
        allowed: So many may be under way.
        good: So many are known to be taken.
        changed_s: Moment from which the next quiet interval counts.
        halved_s: Moment of the last halving.
        probe_s: How long it must be quiet before one more than *good* is tried.
    """

    most: int
    allowed: int
    good: int
    changed_s: float
    halved_s: float = float("-inf")
    probe_s: float = PROBE_S

    @classmethod
    def unknown(cls, most: int, now_s: float) -> "Level":
        """Return what is known of an account at first."""
        return cls(most, most, min(most, START), now_s)

    def limited(self, most: int) -> "Level":
        """Return the level within another limit of the user's."""
        was_free = self.allowed == self.most
        allowed = most if was_free else min(self.allowed, most)
        return replace(self, most=most, allowed=allowed, good=min(self.good, most))

    def has_room(self, at_once: int, asking: int) -> bool:
        """Return whether one more may be sent while so many are under way, and so many of those not answered yet."""
        # Far more than an earlier run has left under way, or than is known to be taken, is never sent blindly.
        blind = max(1, self.good // STEP)
        return at_once < self.allowed and (at_once < self.good + blind or asking < blind)

    @property
    def grows_at_s(self) -> float:
        """Moment from which one more is allowed if it stays quiet; infinity if time alone allows no more."""
        if self.allowed >= self.most or self.allowed > self.good:
            return float("inf")
        return self.changed_s + (QUIET_S if self.allowed < self.good else self.probe_s)

    def grown(self, now_s: float) -> "Level":
        """Return the level after it has been quiet until *now_s*."""
        level = self
        while (at_s := level.grows_at_s) <= now_s:
            level = replace(level, allowed=level.allowed + 1, changed_s=at_s)
        return level

    def accepted(self, now_s: float, sent_s: float, number: int) -> "Level":
        """Return the level after a request was accepted that was sent at *sent_s*, as the *number*-th under way."""
        if number <= self.good:
            return self
        level = replace(self, good=number)
        if self.allowed == self.most or number < self.allowed or sent_s < self.changed_s:
            return level
        return replace(level, changed_s=now_s, probe_s=max(PROBE_LEAST_S, self.probe_s / 2))

    def refused(self, now_s: float, wait_s: float, sent_s: float, number: int, at_once: int) -> "Level":
        """Return the level after a request was refused.

        Requests sent before the last halving are of the same burst, and halve nothing more.

        Args:
            now_s: Moment of the refusal.
            wait_s: How long nothing is sent now: that is no quiet interval.
            sent_s: Moment at which the request was sent.
            number: The how manyth under way it was to be.
            at_once: How many were under way, or to be, at the refusal.
        """
        # A refusal while nothing is under way has another reason.
        good = min(self.good, number - 1) or self.good
        quiet = replace(self, allowed=min(self.allowed, good), good=good, changed_s=now_s + wait_s)
        if sent_s <= self.halved_s:
            return quiet
        allowed = max(1, min(self.allowed, at_once) // 2)
        tried = self.good < self.allowed < self.most
        probe_s = min(PROBE_MOST_S, self.probe_s * 2) if tried else self.probe_s
        return replace(quiet, allowed=min(allowed, good), halved_s=now_s, probe_s=probe_s)
