"""The ledger as a table: one row a task, for spreadsheets and for programs."""

import csv
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

import msgspec

from batchup import events
from batchup.history import History, Record
from batchup.source import Source
from batchup.terminal import escape

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How cells begin that a spreadsheet would compute.

Source: https://owasp.org/www-community/attacks/CSV_Injection, read 2026-11.
"""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One task as its ledger knows it.

    Attributes:
        state: ``pending``, ``done``, ``failed``, ``held``, ``submitting``, ``submitted``, ``completed``.
        input: How people know the input: its root and path, or its URL. A path text, as *output*.
        params: Those that differ from the model's defaults.
        output: Below the manifest's ``output.dir``.
        size_bytes: Of the input.
        kind: ``image`` or ``video``.
        width: Of the output, in pixels; as expected until it is done. Likewise *height*.
        estimated_usd: None where it is unknown.
        charged_usd: By all attempts.
        attempts: So far.
        error: Class of the error, where it failed.
        message: What was said then, or when it was held.
        seconds: That the attempt took.
        at: When its state was made, RFC 3339 in UTC.
        orphaned: Whether the manifest no longer makes it.
        sha256: Of the output; *source_sha256* of the input.
        id: Of the task.
    """

    state: str
    input: str
    model: str
    params: dict[str, Any]
    output: str
    kind: str
    size_bytes: int
    width: int
    height: int
    estimated_usd: float | None
    charged_usd: float
    attempts: int
    error: str = ""
    message: str = ""
    seconds: float = 0.0
    at: str = ""
    orphaned: bool = False
    sha256: str = ""
    source_sha256: str = ""
    id: str


def rows(lines: Iterable[tuple[int, bytes]], read_line: Callable[[int], bytes]) -> Iterator[Row]:
    """Read a ledger to its end, then yield one row a task, in the order in which the tasks were first seen.

    Args:
        lines: All of the ledger's, with their offsets.
        read_line: Returns the line at an offset.

    Raises:
        LedgerError: At once: the ledger is damaged.
    """
    history = History(read_line).fold(lines)
    seen = ((record, history.seen(record)) for record in history.records.values())
    return (_row(history, record, one) for record, one in seen if one)


def _row(history: History, record: Record, seen: events.Seen) -> Row:
    last = history.last(record)
    done = last if isinstance(last, events.Done) else None
    told = last if isinstance(last, events.Failed | events.Held) else None
    return Row(
        state=record.state.name.lower(),
        input=Source(root=seen.root, path=seen.path, url=seen.url).label,
        model=seen.model,
        params=dict(seen.params),
        output=done.output if done else seen.output,
        kind=seen.kind,
        size_bytes=seen.size_bytes,
        width=done.width if done else seen.width,
        height=done.height if done else seen.height,
        estimated_usd=None if seen.estimated_usd is None else float(seen.estimated_usd),
        charged_usd=float(history.charged(record)),
        attempts=record.attempts,
        error=record.failure,
        message=told.message if told else "",
        seconds=round(done.seconds, 3) if done else 0.0,
        at=(last or seen).at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        orphaned=record.orphaned,
        sha256=done.sha256 if done else "",
        source_sha256=(done.source_sha256 if done else "") or seen.sha256,
        id=record.key.hex(),
    )


def write_json(found: Iterable[Row], file: TextIO) -> int:
    """Write one JSON array, a row a line. Returns the number of rows."""
    number = 0
    for number, row in enumerate(found, 1):
        file.write(("[\n" if number == 1 else ",\n") + msgspec.json.encode(row).decode())
    file.write("\n]\n" if number else "[]\n")
    return number


def write_csv(found: Iterable[Row], file: TextIO) -> int:
    """Write a table with a head. Returns the number of rows.

    Control characters are shown escaped, and what a spreadsheet would take for a formula gets an apostrophe before it:
    a photo may be called ``=cmd()``.
    """
    writer = csv.writer(file, lineterminator="\n")
    fields = Row.__struct_fields__
    writer.writerow(fields)
    number = 0
    for number, row in enumerate(found, 1):  # noqa: B007 - it is returned
        writer.writerow([_cell(getattr(row, field)) for field in fields])
    return number


def _cell(value: Any) -> str | int | float | None:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode() if value else ""
    if not isinstance(value, str):
        return value  # type: ignore[no-any-return] # a number or nothing
    return f"'{escape(value)}" if value.startswith(_FORMULA) else escape(value)
