"""The ledger's format: lines in groups, each group ended by its line of checksums. Pure: bytes in, bytes out.

::

    {"event":"run","format":1,"job":"holiday",...}
    {"event":"task","id":"3f9c...",...}
    {"event":"group","crc":["1a2b3c4d","5e6f7a8b"]}

A group is written in one go and synced before the next one is begun, so that a crash can only harm the last one. What
follows the last whole group is the *torn tail*: it was never acknowledged, and is dropped. Harm before that is
*damage*. The checksums are the CRC-32 of each line of the group, without its newline, so that damage has a line number.
"""

import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from zlib import crc32

import msgspec

from batchup import events

GROUP_LINES = 4096
"""Events that one append puts into one group. A reader holds a group at once."""

GROUP_BYTES = 4 << 20
"""Likewise their size, unless a single event is larger."""

HEAD_BYTES = 64
"""What :func:`format_of` wants to see of a file."""

_CHUNK_BYTES = 1 << 20
_HEAD = re.compile(rb'\{"event":"run","format":(\d{1,9})[,}]')
_HEAD_START = b'{"event":"run","format":'
_SUMS_START = b'{"event":"group","crc":["'
_SUMS = re.compile(rb'\{"event":"group","crc":\["[0-9a-f]{8}"(?:,"[0-9a-f]{8}")*\]\}')

Read = Callable[[int], bytes]
"""Returns up to so many of the next bytes; none at the end."""


class Group(NamedTuple):
    """A piece of a ledger up to a line of checksums. Nothing is said about whether they fit.

    Attributes:
        offset: Of its first byte in the file.
        line: Number of its first line, from 1.
        lines: Its events' lines, without newlines.
        sums: Its line of checksums; None where the file ends before there is one.
        end: Offset of the first byte after it.
    """

    offset: int
    line: int
    lines: list[bytes]
    sums: bytes | None
    end: int


class Damage(Exception):  # noqa: N818 - it is the field's word
    """A ledger's line is not what was written.

    Attributes:
        group: Where the damage is.
        line: Number of the first damaged line, from 1.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self.line = sort_out(group)[1][0]
        super().__init__(f"line {self.line}")


def format_of(head: bytes) -> int | None:
    """Return the format's number of the ledger that begins with *head*; 0 for one cut in its first line.

    Args:
        head: The first :data:`HEAD_BYTES` of the file, or all of a shorter one.

    Returns:
        None where the file is no ledger.
    """
    if found := _HEAD.match(head):
        return int(found[1])
    cut = _HEAD_START.startswith(head) or re.fullmatch(re.escape(_HEAD_START) + rb"\d{1,9}", head)
    return 0 if cut else None


def checksums(lines: Iterable[bytes]) -> bytes:
    """Return the line that ends a group of *lines*, without its newline."""
    sums = array("I", map(crc32, lines))
    if sys.byteorder == "little":
        sums.byteswap()
    return _SUMS_START + sums.tobytes().hex("-", 4).replace("-", '","').encode() + b'"]}'


def encode(lines: list[bytes]) -> bytes:
    """Return *lines* as a group's bytes."""
    return b"\n".join([*lines, checksums(lines), b""])


def pack(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Share *lines* out to groups, as few as their limits allow. Lazy."""
    group: list[bytes] = []
    size_bytes = 0
    for line in lines:
        if len(group) == GROUP_LINES or (group and size_bytes + len(line) > GROUP_BYTES):
            yield group
            group, size_bytes = [], 0
        group.append(line)
        size_bytes += len(line)
    if group:
        yield group


def cut(read: Read, offset: int = 0, line: int = 1) -> Iterator[Group]:
    """Cut a ledger into its groups, checking nothing. A tail without checksums comes last.

    Holds one group at a time.

    Args:
        read: Gives the ledger's bytes from *offset* on.
        offset: Where a group begins.
        line: Number of the line that stands there.
    """
    buffer = bytearray()
    searched = 0
    while chunk := read(_CHUNK_BYTES):
        buffer += chunk
        taken = 0
        while True:
            start, end = _find_sums(buffer, searched)
            if end < 0:
                break
            lines = bytes(buffer[taken:start]).split(b"\n")
            yield Group(offset, line, lines, bytes(buffer[start + 1 : end]), offset + end + 1 - taken)
            offset += end + 1 - taken
            line += len(lines) + 1
            taken = searched = end + 1
        del buffer[:taken]
        searched = max(0, start - taken)
    if buffer:
        yield Group(offset, line, bytes(buffer).removesuffix(b"\n").split(b"\n"), None, offset + len(buffer))


def _find_sums(buffer: bytearray, searched: int) -> tuple[int, int]:
    """Find the first line of checksums at or behind index *searched*.

    Returns:
        The indexes of the newlines before and after it. If the second is -1, it is not wholly there yet, and the first
        is where to look again when there is more.
    """
    start = buffer.find(b"\n" + _SUMS_START, searched)
    if start < 0:
        return max(searched, len(buffer) - len(_SUMS_START)), -1
    return start, buffer.find(b"\n", start + 1)


def whole(read: Read, offset: int = 0, line: int = 1) -> Iterator[Group]:
    """Yield the whole groups of a ledger, and end before its torn tail, if it has one.

    Args:
        read: Gives the ledger's bytes from *offset* on.
        offset: Where a group begins.
        line: Number of the line that stands there.

    Raises:
        Damage: A line before the torn tail is not what was written.
    """
    bad: Group | None = None
    for group in cut(read, offset, line):
        if bad is not None:
            raise Damage(bad)
        if group.sums is None:
            return
        if group.sums == checksums(group.lines):
            yield group
        else:
            bad = group
    if bad is not None and not is_torn(bad):
        raise Damage(bad)


def is_torn(last: Group) -> bool:
    """Return whether *last*, a ledger's last group, which is not whole, may be the work of a crash.

    A write that was cut short ends before its checksums do. One whose blocks did not all reach the disk shows zeros
    where they are missing (and the newlines among them are missing too, so it never has lines to spare). No line holds
    a zero byte.
    """
    if last.sums is None or (sums := _parse(last.sums)) is None:
        return True
    return len(last.lines) <= len(sums) and any(b"\0" in line for line in last.lines)


def sort_out(group: Group) -> tuple[list[bytes], list[int]]:
    """Tell the good lines of a group that is not whole from the damaged ones.

    Lines whose checksums are themselves damaged are good if they still are events.

    Returns:
        The good lines, and the numbers of the damaged ones, in order. Never no numbers.
    """
    sums = _parse(group.sums or b"")
    last = group.line + len(group.lines)
    if sums is not None and _one_digit_off(group.lines, sums):
        return group.lines, [last]
    # Lines to spare at the front are those of a group before, whose own line of checksums is no longer known as one.
    spare = len(group.lines) if sums is None else len(group.lines) - len(sums)
    good: list[bytes] = []
    damaged: list[int] = []
    position = 0
    for index, line in enumerate(group.lines):
        try:
            position = (sums or []).index(crc32(line), position) + 1
            good.append(line)
        except ValueError:
            if index < spare and _is_event(line):
                good.append(line)
            else:
                damaged.append(group.line + index)
    if sums is None or not damaged:
        damaged.append(last)
    return good, damaged


def _parse(line: bytes) -> list[int] | None:
    """Undo :func:`checksums`; None where *line* is not what that returns."""
    if not _SUMS.fullmatch(line):
        return None
    return [int(digits, 16) for digits in line[len(_SUMS_START) : -3].split(b'","')]


def _one_digit_off(lines: list[bytes], sums: list[int]) -> bool:
    """Return whether one single digit of *sums* does not fit.

    Then that digit is what was damaged: a changed line changes all of its checksum, and leaves seven digits of
    eight alone once in forty million cases.
    """
    if len(lines) != len(sums):
        return False
    wrong = [was ^ now for was, now in zip(sums, map(crc32, lines), strict=True) if was != now]
    return len(wrong) == 1 and any(wrong[0] & ~(0xF << shift) == 0 for shift in range(0, 32, 4))


def _is_event(line: bytes) -> bool:
    try:
        events.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
