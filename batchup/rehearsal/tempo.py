"""Tempo: time that passes faster than the machine's, so that a night can be tried in minutes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from batchup.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Tempo:
    """A clock that starts with another one and from there on runs *speed* times as fast.

    Whoever waits on it waits so much shorter, and takes it for the whole time: pauses, deadlines that it sleeps
    towards, moments that are told. What waits for the machine itself (work, disk, sockets) is no shorter, and seems
    so many times as long.

    Attributes:
        speed: Its seconds in one of *clock*'s; above 0.
        clock: The other one.
    """

    speed: float
    clock: Clock = field(default_factory=SystemClock)
    _began_s: float = field(init=False)
    _began_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_began_s", self.clock.now_s())
        object.__setattr__(self, "_began_at", self.clock.utc())

    def now_s(self) -> float:
        """Return the seconds that it counts, from where the other one stood."""
        return self._began_s + self._passed_s()

    def utc(self) -> datetime:
        """Return the moment that it has come to, aware, in UTC."""
        return self._began_at + timedelta(seconds=self._passed_s())

    async def sleep(self, seconds: float) -> None:
        """Return when it has counted *seconds* more."""
        await self.clock.sleep(seconds / self.speed)

    def _passed_s(self) -> float:
        return (self.clock.now_s() - self._began_s) * self.speed
