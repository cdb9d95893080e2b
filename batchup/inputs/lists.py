"""Lists of inputs: ``.txt``, ``.csv`` and ``.jsonl``, read line by line, however long."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from batchup.errors import Fault
from batchup.inputs.urls import is_url
from batchup.source import to_text

ENDINGS = (".txt", ".csv", ".jsonl")
KEYS = ("path", "url")
MAX_LINE = 1 << 20
"""Characters of a line; more is no list."""

_DELIMITERS = ",;\t"


class Entry(NamedTuple):
    """One line of a list: a path or a URL, and what stands beside it.

    Attributes:
        path: As ``os`` takes it; empty where there is a URL.
        row: The other columns, as path texts.
        line: From 1; likewise *column*.
    """

    path: str
    url: str
    row: Mapping[str, str]
    line: int
    column: int


def read(file: Path) -> Iterator[Entry | Fault]:
    """Yield the entries of a list, and what is wrong with its lines. A byte that is no UTF-8 is kept in paths.

    Raises:
        OSError: It cannot be read.
    """
    name = str(file)
    # Names of files are bytes: surrogateescape keeps those that are no UTF-8. A BOM is no part of the first one.
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        lines = _Lines(stream)
        reader = {".txt": _plain, ".csv": _table, ".jsonl": _objects}[file.suffix.lower()]
        try:
            yield from reader(name, lines)
        except _Unreadable as error:
            yield Fault(name, lines.number, 1, str(error))


class _Unreadable(ValueError):  # noqa: N818 - it never leaves this module
    """The list cannot be read on."""


class _Lines:
    """The lines of a file, counted.

    Attributes:
        number: Of the last line given out, from 1.
        last: That line.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.number = 0
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if self.number == 1 and line.startswith(("\udcff\udcfe", "\udcfe\udcff")):
            raise _Unreadable("the list is UTF-16; save it as UTF-8")
        if len(line) == MAX_LINE:
            raise _Unreadable(f"the line is longer than {MAX_LINE} characters; a list has one input a line")
        self.last = line
        return line


def _plain(name: str, lines: _Lines) -> Iterator[Entry | Fault]:  # noqa: ARG001 - every reader is told the name
    for line in lines:
        text = line.rstrip("\r\n")
        if text.strip():
            url = text.strip() if is_url(text.strip()) else ""
            yield Entry("" if url else text, url, {}, lines.number, 1)


def _table(name: str, lines: _Lines) -> Iterator[Entry | Fault]:
    first = next(lines, "")
    delimiter, header = _header(first)
    if not set(KEYS) & set(header):
        yield Fault(name, 1, 1, "the first line must name the columns, and one of them path or url")
        return
    if len(set(header)) < len(header):
        yield Fault(name, 1, 1, "two columns have one name")
        return
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        start = lines.number + 1
        try:
            values = next(rows, None)
        except csv.Error as error:
            raise _Unreadable(f"no CSV: {error}") from error
        if values is None:
            return
        if len(values) > len(header):
            yield Fault(name, start, 1, f"the line has {len(values)} values for {len(header)} columns")
        elif any(value.strip() for value in values):
            padded = values + [""] * (len(header) - len(values))
            yield _entry(name, dict(zip(header, padded, strict=True)), start, lines)


def _header(line: str) -> tuple[str, list[str]]:
    """Return the delimiter, as spreadsheets of some countries write a semicolon, and the columns."""
    for delimiter in _DELIMITERS:
        header = [column.strip() for column in next(csv.reader([line], delimiter=delimiter), [])]
        if set(KEYS) & set(header):
            return delimiter, [to_text(column) for column in header]
    return ",", []


def _objects(name: str, lines: _Lines) -> Iterator[Entry | Fault]:
    for line in lines:
        if not line.strip():
            continue
        try:
            # Numbers stay as they are written.
            value: Any = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
        except json.JSONDecodeError as error:
            yield Fault(name, lines.number, error.colno, f"no JSON: {error.msg}")
            continue
        except RecursionError:
            yield Fault(name, lines.number, 1, "no JSON that anybody wrote: too deep")
            continue
        if not isinstance(value, dict):
            yield Fault(name, lines.number, 1, 'a line must be an object such as {"path": "a.jpg"}')
            continue
        nested = [key for key, item in value.items() if isinstance(item, dict | list)]
        if nested:
            yield Fault(name, lines.number, 1, f"{nested[0]}: must be a text or a number, no list or object")
            continue
        yield _entry(name, {key: _text(item) for key, item in value.items()}, lines.number, lines)


def _text(value: Any) -> str:
    """Return a JSON scalar as text; numbers are text already."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _entry(name: str, row: dict[str, str], line: int, lines: _Lines) -> Entry | Fault:
    """Return the input that a row names."""
    path, url = row.pop("path", ""), row.pop("url", "").strip()
    if bool(path) == bool(url):
        what = "has both a path and a url" if path else "names neither a path nor a url"
        return Fault(name, line, 1, f"the line {what}; it must be one of them")
    if is_url(path.strip()):
        path, url = "", path.strip()
    # Right for what stands on one line as it is meant; quoting and escapes may hide it.
    column = lines.last.find(path or url) + 1 if lines.number == line else 0
    return Entry(path, url, {to_text(k): to_text(v) for k, v in row.items()}, line, column or 1)
