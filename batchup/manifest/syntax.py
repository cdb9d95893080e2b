"""Syntax: YAML bytes become plain values that know where they stand.

The parser's events are read directly rather than composed to nodes: that is several times as fast, and it bounds the
depth before anything recurses (PyYAML's composer in C overflows the stack of the process at some 10,000 levels).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from batchup.errors import Fault, ManifestError
from batchup.manifest import scalars
from batchup.manifest.wording import dotted, found, printable

Loc = tuple[str | int, ...]

Event = Any
"""An event of PyYAML, whose types leave open what only some of them have."""

MAX_BYTES = 10_000_000
MAX_DEPTH = 64
MAX_ALIASED = 100_000
"""Values that aliases may add to those that are written."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a value stands: line and column from 1, and likewise its keys and parts."""

    line: int
    column: int
    keys: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    parts: Mapping[str | int, "Spot"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML file says, and where it says it.

    Attributes:
        file: As the person named it.
        value: Mappings are dicts, lists are tuples, scalars as :func:`batchup.manifest.scalars.resolve` has it.
        faults: What is wrong with the file as YAML, where the rest could be read all the same.
    """

    file: str
    value: dict[str, Any]
    spot: Spot
    faults: tuple[Fault, ...] = ()

    def written(self, loc: Sequence[str | int]) -> Loc:
        """Return the longest beginning of *loc* that the file holds."""
        spot = self.spot
        for depth, part in enumerate(loc):
            if part not in spot.parts:
                return tuple(loc[:depth])
            spot = spot.parts[part]
        return tuple(loc)

    def fault(self, loc: Sequence[str | int], message: str, *, at_key: bool = False) -> Fault:
        """Return a fault at *loc*, or at the nearest place above it that the file holds; it begins with *loc*.

        Args:
            loc: Keys, and numbers of list items from 0.
            message: The rest of the sentence.
            at_key: Point at the key rather than at its value.
        """
        spot, place = self.spot, (self.spot.line, self.spot.column)
        for part in self.written(loc):
            above, spot = spot, spot.parts[part]
            place = above.keys[part] if at_key and part in above.keys else (spot.line, spot.column)  # type: ignore[index] # a key is text
        return Fault(self.file, *place, f"{dotted(loc)}: {message}" if loc else message)


def read(data: bytes, file: str) -> Document:
    """Return what *data* says.

    Args:
        data: The file's bytes.
        file: Its name, for the faults.

    Raises:
        ManifestError: It cannot be read as one YAML document that is a mapping. What is merely forbidden (a duplicate
            key, a tag) stands in :attr:`Document.faults` instead, so that it is reported with everything else.
    """
    text = _decoded(data, file)
    builder = _Builder(file)
    try:
        root = builder.document(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, file) from error
    except yaml.YAMLError as error:
        raise ManifestError([Fault(file, 1, 1, f"is no YAML: {printable(str(error))}")]) from error
    if root is None or root.value is None:
        raise ManifestError([Fault(file, 1, 1, "is empty; a manifest begins with version: 1")])
    if not isinstance(root.value, dict):
        what = found(root.value)
        fault = Fault(
            file, root.spot.line, root.spot.column, f"holds {what}, where keys such as version: 1 belong"
        )
        raise ManifestError([*builder.faults, fault])
    return Document(file, root.value, root.spot, tuple(builder.faults))


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise ManifestError(
            [Fault(file, 0, 0, "is larger than 10 MB; long lists of inputs belong into a list: file")]
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(errors="replace")
        hint = (
            "it looks like UTF-16; save it as UTF-8"
            if data[:2] in {b"\xff\xfe", b"\xfe\xff"}
            else "save it as UTF-8"
        )
        raise _fault_in(before, file, f"byte 0x{data[error.start]:02x} is not UTF-8; {hint}") from error
    if bad := _UNPRINTABLE.search(text):
        what = f"a control character (U+{ord(bad[0]):04X}); a manifest is plain text"
        raise _fault_in(text[: bad.start()], file, what)
    return text


def _fault_in(before: str, file: str, message: str) -> ManifestError:
    line = before.count("\n") + 1
    return ManifestError([Fault(file, line, len(before) - (before.rfind("\n") + 1) + 1, message)])


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> ManifestError:
    """Say a parser's complaint in words for people who do not know YAML's."""
    # A pattern such as **/*.jpg is an alias to YAML, and found to be none after its first character.
    starred = error.context in {"while scanning an alias", "while scanning an anchor"}
    mark = error.context_mark if starred else error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    rows = text.splitlines()
    at = rows[line - 1][column - 1 : column] if line <= len(rows) else ""
    problem = error.problem or "it breaks off"
    if starred:
        what = f"a text that begins with {at} needs quotes"
    elif "cannot start any token" in problem:
        what = (
            "a tab cannot indent; use spaces" if at == "\t" else f"a text that begins with {at} needs quotes"
        )
    elif "mapping values are not allowed" in problem:
        what = "a colon where none can stand; put a text that holds one in quotes, or check the indentation"
    else:
        what = f"cannot be read as YAML: {printable(problem)}; check indentation, quotes and brackets around here"
    return ManifestError([Fault(file, line, column, what)])


class _Node(NamedTuple):
    """A value, its place, and the number of values it is made of, those of aliases included."""

    value: Any
    spot: Spot
    size: int


class _Builder:
    """Folds the parser's events into one node."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self._events: Iterator[Event] = iter(())
        self._anchors: dict[str, _Node | None] = {}
        self._path: list[str | int] = []
        self._written = 0
        self._depth = 0

    def document(self, events: Iterator[Event]) -> _Node | None:
        """Return the only document in *events*, None if there is none."""
        self._events = events
        root: _Node | None = None
        for event in events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            if root is not None:
                raise self._stop(event, "a second document; a manifest is one, so remove this ---")
            root = self._node(next(events))
        return root

    def _node(self, event: Event) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event)
        self._written += 1
        if event.tag not in {None, "!"}:
            self._fault(
                event, f"the tag {printable(event.tag)} is not allowed; a manifest holds plain values only"
            )
        if event.anchor:
            # None while it is open: an alias of it in there would have no end.
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        else:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._stop(event, f"nested more than {MAX_DEPTH} levels deep")
            node = self._mapping(event) if isinstance(event, yaml.MappingStartEvent) else self._list(event)
            self._depth -= 1
        # Counted before anything is copied, so an alias of aliases of aliases costs nothing.
        if node.size - self._written > MAX_ALIASED:
            raise self._stop(
                event, f"aliases (*) that expand to {node.size:,} values; write them out, or use a list: file"
            )
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _aliased(self, event: Event) -> _Node:
        # The parser itself, unlike the composer, does not know which anchors there are.
        if event.anchor not in self._anchors:
            what = f"there is no &{printable(event.anchor)} above; put a text that begins with * in quotes"
            raise self._stop(event, what)
        node = self._anchors[event.anchor]
        if node is None:
            raise self._stop(event, f"*{printable(event.anchor)} stands inside of what it names, without end")
        return node

    def _scalar(self, event: Event) -> _Node:
        text = str(event.value)
        if event.style == '"' and (bad := _CONTROL.search(text)):
            self._fault(event, f"an escaped control character (U+{ord(bad[0]):04X}) is not allowed")
            text = _CONTROL.sub("", text)
        return _Node(scalars.resolve(text) if event.implicit[0] else text, self._spot(event), 1)

    def _list(self, start: Event) -> _Node:
        items: list[Any] = []
        parts: dict[str | int, Spot] = {}
        size = 1
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            self._path.append(len(items))
            item = self._node(event)
            self._path.pop()
            parts[len(items)] = item.spot
            items.append(item.value)
            size += item.size
        return _Node(tuple(items), self._spot(start, {}, parts), size)

    def _mapping(self, start: Event) -> _Node:
        values: dict[str, Any] = {}
        keys: dict[str, tuple[int, int]] = {}
        parts: dict[str | int, Spot] = {}
        size = 1
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, keys)
            self._path.append("?" if key is None else key)
            item = self._node(next(self._events))
            self._path.pop()
            size += item.size
            if key is not None:
                values[key], parts[key] = item.value, item.spot
                keys[key] = (event.start_mark.line + 1, event.start_mark.column + 1)
        return _Node(values, self._spot(start, keys, parts), size)

    def _key(self, event: Event, seen: Mapping[str, tuple[int, int]]) -> str | None:
        """Return a key's text; None, after a fault, if it cannot be one."""
        node = self._node(event)
        key = node.value
        if not isinstance(key, str):
            self._fault(event, f"{found(key)} cannot be a key; keys are text")
        elif key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
            self._fault(
                event, "<< (a merge) is not read; name the whole mapping by its alias, or write its keys"
            )
        elif key in seen:
            self._path.append(key)
            self._fault(event, f"written twice; it already stands on line {seen[key][0]}")
            self._path.pop()
        else:
            return key
        return None

    def _fault(self, event: Event, message: str) -> None:
        where = f"{dotted(self._path)}: " if self._path else ""
        mark = event.start_mark
        self.faults.append(Fault(self.file, mark.line + 1, mark.column + 1, f"{where}{message}"))

    def _stop(self, event: Event, message: str) -> ManifestError:
        self._fault(event, message)
        return ManifestError(self.faults)

    @staticmethod
    def _spot(event: Event, *below: Any) -> Spot:
        return Spot(event.start_mark.line + 1, event.start_mark.column + 1, *below)
