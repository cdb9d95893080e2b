"""Story: all that the ledger tells of one task, a sentence a moment."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from batchup import events
from batchup.manifest.quantities import format_bytes, format_duration, format_usd
from batchup.terminal import escape


class Moment(msgspec.Struct, frozen=True):
    """One thing that happened.

    Attributes:
        at: Seconds since 1970.
        kind: Of the event, as the ledger has it.
        text: A sentence, harmless.
    """

    at: float
    kind: str
    text: str


def story(task_id: str, lines: Iterable[tuple[int, bytes]]) -> Iterator[Moment]:
    """Yield what a ledger's *lines* tell of a task, in order.

    Args:
        task_id: 32 hexadecimal digits.
        lines: With their offsets.
    """
    wanted = f'"id":"{task_id}"'.encode()
    for _, line in lines:
        if wanted in line:
            event = _decoded(line)
            if event is not None and getattr(event, "id", "") == task_id:
                kind = str(type(event).__struct_config__.tag)
                yield Moment(event.at.timestamp(), kind, escape(_said(event)))


def _decoded(line: bytes) -> events.AnyEvent | None:
    """Return an event; None for one of a later version."""
    try:
        return events.decode(line)
    except msgspec.ValidationError:
        return None


def _said(event: Any) -> str:
    return _SAYS[type(event)](event)


def _submitting(event: events.Submitting) -> str:
    reserved = f", {format_usd(event.reserved_usd)} reserved" if event.reserved_usd else ""
    return f"Attempt {event.attempt} is sent to {event.endpoint}{reserved}"


def _submitted(event: events.Submitted) -> str:
    return f"Accepted as request {event.request_id}" if event.request_id else "Accepted"


def _result(event: events.Result) -> str:
    charged = f", {format_usd(event.charged_usd)} charged" if event.charged_usd else ""
    return f"The provider has finished{charged}"


def _done(event: events.Done) -> str:
    size = f"{event.width}x{event.height}, {format_bytes(event.size_bytes)}"
    if event.copied_from:
        return f"Copied from the same work on the same contents: {event.output}, {size}"
    took = f", took {format_duration(event.seconds)}" if event.seconds else ""
    charged = f", {format_usd(event.charged_usd)} charged" if event.charged_usd else ""
    odd = "; not the size that was expected" if event.unexpected_size else ""
    return f"Done: {event.output}, {size}{took}{charged}{odd}"


def _retried(event: events.Retried) -> str:
    what = f"Its step {event.step}" if event.step else f"Attempt {event.attempt}"
    wait = f"again in {format_duration(event.wait_s)}" if event.wait_s else "again at once"
    return f"{what} did not succeed, {wait}: {event.kind}: {event.message}"


def _failed(event: events.Failed) -> str:
    used = " (its attempts were used up)" if event.may_retry else ""
    return f"Given up{used}: {event.kind}: {event.message}"


def _held(event: events.Held) -> str:
    reserved = f"; {format_usd(event.reserved_usd)} may have been charged" if event.reserved_usd else ""
    return f"Held, nobody can tell whether it was accepted: {event.message}{reserved}"


def _audited(event: events.Audited) -> str:
    return f"The account's bill says that attempt {event.attempt} cost {format_usd(event.charged_usd)}"


def _seen(event: events.Seen) -> str:
    expected = f", {event.width}x{event.height} expected" if event.width else ""
    price = f", about {format_usd(event.estimated_usd)}" if event.estimated_usd else ""
    return f"Found: {event.model}{expected}{price}"


_SAYS: dict[type[events.Event], Callable[[Any], str]] = {
    events.Seen: _seen,
    events.Orphaned: lambda _: "The manifest no longer makes it",
    events.Submitting: _submitting,
    events.Submitted: _submitted,
    events.Result: _result,
    events.Done: _done,
    events.Retried: _retried,
    events.Failed: _failed,
    events.Held: _held,
    events.Audited: _audited,
}
