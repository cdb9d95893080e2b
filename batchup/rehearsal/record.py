"""Record: every call that came in, counted."""

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

KEPT = 200_000
"""So many of the latest calls are kept whole; the counts are of all."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came in.

    Attributes:
        service: ``queue``, ``run``, ``rest``, ``api`` or ``cdn``.
        step: What it asked for; empty where the service has no such address.
        path: With the query.
        headers: All of them, the key included.
        at_s: When, on the monotonic clock.
    """

    service: str
    step: str
    method: str
    path: str
    headers: Mapping[str, str]
    at_s: float


class Record:
    """What the server has seen.

    Attributes:
        log: The latest calls.
        calls: Step -> calls.
        faults: Step and kind of fault -> how often it happened.
        leaks: Calls in which the key stands where it must not.
        peaks: Step -> the most calls that were being answered at once.
        disorderly: Uploads that were completed with their parts in another than ascending order.
    """

    def __init__(self, key: str) -> None:
        self.log: deque[Call] = deque(maxlen=KEPT)
        self.calls: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.leaks: list[Call] = []
        self.peaks: Counter[str] = Counter()
        self.disorderly = 0
        self._now: Counter[str] = Counter()
        self._key = key

    @contextmanager
    def call(
        self, service: str, step: str, method: str, path: str, headers: Mapping[str, str]
    ) -> Iterator[None]:
        """Take note of a call for as long as it lasts."""
        call = Call(service, step, method, path, dict(headers), time.monotonic())
        self.log.append(call)
        self.calls[step] += 1
        if self._leaks(call):
            self.leaks.append(call)
        self._now[step] += 1
        self.peaks[step] = max(self.peaks[step], self._now[step])
        try:
            yield
        finally:
            self._now[step] -= 1

    def rate(self, *steps: str, window_s: float = 1.0) -> int:
        """Return the most calls of *steps* (of all, if none is given) that came within *window_s* seconds."""
        moments: deque[float] = deque()
        most = 0
        for call in self.log:
            if steps and call.step not in steps:
                continue
            moments.append(call.at_s)
            while moments[0] <= call.at_s - window_s:
                moments.popleft()
            most = max(most, len(moments))
        return most

    def _leaks(self, call: Call) -> bool:
        """Say whether the key stands where it must not: anywhere in a call to the CDN, or outside its own header."""
        if self._key in call.path:
            return True
        return any(
            self._key in value and (call.service == "cdn" or name.lower() != "authorization")
            for name, value in call.headers.items()
        )
