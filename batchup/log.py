"""Log lines of a run: one for each event that it makes, with the event's values as fields."""

import logging
from decimal import Decimal

import msgspec

from batchup.events import (
    Done,
    Event,
    Failed,
    Held,
    Orphaned,
    Result,
    Retried,
    Run,
    Stopped,
    Submitted,
    Submitting,
    Uploaded,
    encode,
)
from batchup.terminal import escape

LOG = logging.getLogger("batchup")


def log(event: Event, name: str) -> None:
    """Log an event.

    Args:
        event: What happened. What a run only notes, such as that it has seen a task, is in the ledger alone.
        name: Of the input it happened to; empty where that is not known.
    """
    if not LOG.isEnabledFor(logging.INFO):
        return
    text = _text(event)
    if not text:
        return
    fields = msgspec.json.decode(encode(event))
    task = getattr(event, "id", "")
    if task:
        text, fields = f"{f'task {task[:8]} {name}'.rstrip()} {text}", {"input": name, **fields}
    LOG.info(escape(text), extra={"fields": fields})


def _text(event: Event) -> str:  # noqa: C901, PLR0911 - one case for each event
    match event:
        case Run():
            left_out = "".join(f", {number:,} {reason}" for reason, number in event.skipped.items())
            return f"run {event.job} begins: batchup {event.version}, process {event.pid}{left_out}"
        case Stopped():
            return f"run ends after {event.elapsed_s:.1f} s" + (f": {event.why}" if event.why else "")
        case Orphaned():
            return "is not in the manifest any more"
        case Uploaded():
            return f"uploaded {event.sha256[:8]}, kept until {event.expires_at:%Y-%m-%d %H:%M} UTC"
        case Done():
            how = f"copied from {event.copied_from[:8]}" if event.copied_from else f"in {event.seconds:.1f} s"
            return f"done {how}: {event.output} {event.width}x{event.height}"
        case Failed():
            return f"failed {event.kind}: {event.message}"
        case Held():
            return f"held: {event.message}"
        case Retried():
            step = f"{event.step} " if event.step else ""
            return f"{step}again in {event.wait_s:.1f} s ({event.kind}): {event.message}"
        case Submitting():
            return f"submission {event.attempt} to {event.endpoint}{_usd(', at most ', event.reserved_usd)}"
        case Submitted():
            return f"accepted as request {event.request_id}"
        case Result():
            return f"finished{_usd(', charged ', event.charged_usd)}"
        case _:
            return ""


def _usd(before: str, amount: Decimal | None) -> str:
    return "" if amount is None else f"{before}{amount.normalize():f} USD"
