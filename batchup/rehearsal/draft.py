"""Draft: a copy of a ledger with nothing in flight."""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import msgspec

from batchup.events import Retried, encode
from batchup.history import IN_FLIGHT, History, State
from batchup.ledger import disk, open_view
from batchup.ledger.format import encode as framed
from batchup.ledger.format import pack

_OPEN = IN_FLIGHT | {State.HELD}
_UNDER_WAY = frozenset({"submitting", "submitted", "result", "held"})


class _Named(msgspec.Struct):
    event: str
    id: str = ""


def draft(ledger: Path, copy: Path) -> None:
    """Write *copy*: what *ledger* says, but that its tasks in flight and held are pending, and nothing is uploaded.

    What lies at a real platform would be nothing to a fal of our own. Blocks; needs no lock, also while a run appends.

    Raises:
        LedgerError: The ledger cannot be read, or is damaged.
        FatalError: There is no room for the copy.
    """
    with open_view(ledger) as view:
        history, end = History(view.read_line), -1
        for offset, line in view.replay():
            history.add(line, offset)
            end = offset
        # Nobody else's events after these: what is open was told by them.
        lines = (line for offset, line in view.replay() if offset <= end)
        under_way = {key.hex() for key, record in history.records.items() if record.state in _OPEN}
        with disk.explained(copy):
            copy.touch()
            disk.replace(copy, map(framed, pack(chain(_kept(lines, under_way), _pending(under_way)))))


def _kept(lines: Iterable[bytes], under_way: Collection[str]) -> Iterator[bytes]:
    name = msgspec.json.Decoder(_Named).decode
    for line in lines:
        found = name(line)
        is_open = found.event in _UNDER_WAY and found.id in under_way
        if not is_open and found.event != "uploaded":
            yield line


def _pending(under_way: Collection[str]) -> Iterator[bytes]:
    """Yield why they are pending: what was there before their submission may say something else."""
    now = datetime.now(UTC)
    for task_id in sorted(under_way):
        yield encode(
            Retried(
                id=task_id,
                attempt=0,
                kind="rehearsal",
                message="under way in the real ledger",
                wait_s=0,
                at=now,
            )
        )
