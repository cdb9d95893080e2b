"""Job: one accepted request, from its submit to its result."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import anyio

from batchup.clock import Clock
from batchup.rehearsal.answers import Answer
from batchup.rehearsal.endpoints import Endpoint
from batchup.rehearsal.runners import Priority

State = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]

BIG_RESULT_BYTES = 10_000
BIG_TTL_S, SMALL_TTL_S = 360.0, 3600.0
"""How long a result is kept without payload storage."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the headers of a submit ask for.

    Attributes:
        start_within_s: The platform's seconds in which it must have started; None is no limit.
        file_lifetime_s: How long its output is kept; None where it does not say.
        stored: Whether its payloads are kept.
    """

    priority: Priority = "normal"
    start_within_s: float | None = None
    file_lifetime_s: float | None = None
    stored: bool = True

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Wishes":
        """Read them; those that make no sense are passed over, as the platform does."""
        start = headers.get("X-Fal-Request-Timeout")
        return cls(
            "low" if headers.get("X-Fal-Queue-Priority") == "low" else "normal",
            _seconds(start),
            lifetime_s(headers, "X-Fal-Object-Lifecycle-Preference"),
            headers.get("X-Fal-Store-IO") != "0",
        )


def lifetime_s(headers: Mapping[str, str], *names: str) -> float | None:
    """Return the seconds that the first of the headers *names* that is there gives a file; None for no end."""
    for name in names:
        try:
            found = json.loads(headers[name])["expiration_duration_seconds"]
        except (KeyError, TypeError, ValueError):
            continue
        return float(found) if found else None
    return None


def _seconds(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


@dataclass(slots=True, eq=False)
class Job:
    """One accepted request. Only the server changes it.

    Attributes:
        endpoint: What it is for.
        body: As it came.
        clock: Tells when what happened.
        mode: By the queue, or by a synchronous run.
        input_sha256: Of the input's contents, once it has been read.
        failure: What the result will be answered with; None while it may still work, and where it did.
        output: The result.
        units: What it was billed as; None where it was not billed.
        compute_s: How long it took, in the platform's seconds.
    """

    endpoint: Endpoint
    body: Any
    mode: Literal["queue", "run"]
    wishes: Wishes
    headers: Mapping[str, str]
    clock: Clock
    ticket: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    sent_at: datetime = field(init=False)
    sent_s: float = field(init=False)
    state: State = "IN_QUEUE"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    ended_s: float = 0.0
    input_sha256: str = ""
    failure: Answer | None = None
    output: dict[str, Any] | None = None
    units: Decimal | None = None
    cost_usd: Decimal = Decimal(0)
    compute_s: float = 0.0
    cancelled: bool = False
    waiting: anyio.CancelScope | None = None
    working: anyio.CancelScope | None = None
    _changed: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.sent_at, self.sent_s = self.clock.utc(), self.clock.now_s()

    def enter(self, state: State) -> None:
        """Go to *state*, and wake those who wait for that."""
        self.state = state
        if state == "IN_PROGRESS":
            self.started_at = self.clock.utc()
        if state == "COMPLETED":
            self.ended_at, self.ended_s = self.clock.utc(), self.clock.now_s()
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def change(self) -> None:
        """Wait for the next state."""
        await self._changed.wait()

    async def end(self) -> None:
        """Wait until it is completed."""
        while self.state != "COMPLETED":
            await self.change()

    def ttl_s(self, configured_s: float | None) -> float | None:
        """Return for how many of the platform's seconds after its end it is known; None is for good."""
        if configured_s is not None or self.wishes.stored:
            return configured_s
        return BIG_TTL_S if len(json.dumps(self.output)) >= BIG_RESULT_BYTES else SMALL_TTL_S

    @property
    def same_input(self) -> tuple[str, str]:
        """Endpoint and body, with the contents of the input in place of its address: what must be paid once."""
        body = {**self.body, self.endpoint.input: f"sha256:{self.input_sha256}"}
        return self.endpoint.id, json.dumps(body, sort_keys=True)
