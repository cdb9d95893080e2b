"""Time as an argument: what runs on a Clock can be tested on one that a test winds by hand."""

import time
from datetime import UTC, datetime
from typing import Protocol

import anyio


class Clock(Protocol):
    """Where time comes from."""

    def now_s(self) -> float:
        """Return seconds on a clock that never goes back; only differences mean anything."""

    def utc(self) -> datetime:
        """Return the moment, aware, in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*; at once if that is not above 0."""


class SystemClock:
    """The machine's own clocks."""

    def now_s(self) -> float:
        """Return the monotonic clock, in seconds."""
        return time.monotonic()

    def utc(self) -> datetime:
        """Return the wall clock, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await anyio.sleep(max(0.0, seconds))
