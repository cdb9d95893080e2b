"""Desk: one job that is watched, from its ledger and from its run if one is going on."""

import hashlib
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import anyio
import msgspec
from anyio import to_thread

from batchup import control, events
from batchup.control import Announced, Command, Live, Reply
from batchup.dashboard.board import Board
from batchup.dashboard.follow import Follower
from batchup.dashboard.pictures import Pictures
from batchup.dashboard.sections import Item, Teller, amount
from batchup.dashboard.story import Moment, story
from batchup.errors import LedgerError, ManifestError
from batchup.history import State
from batchup.ledger import read_ledger
from batchup.manifest import Manifest, load
from batchup.source import Source, to_path
from batchup.terminal import escape

FRESH_EVERY_S = 3.0
"""What has just come out is shown so often: pictures are read by eyes."""

ANSWER_S = 2.0
"""How long a run may take to say how it stands."""

ID_DIGITS = frozenset("0123456789abcdef")
ID_LENGTH = 32

_encode = msgspec.json.Encoder().encode


class Card(msgspec.Struct, frozen=True):
    """A job in the list of all."""

    key: str
    name: str
    manifest: str
    running: bool
    total: int
    done: int
    failed: int


def key_of(ledger: str) -> str:
    """Return the name under which the page knows the job of a ledger."""
    return hashlib.sha256(os.fsencode(os.path.realpath(ledger))).hexdigest()[:12]


class Desk:
    """One job.

    Attributes:
        key: See :func:`key_of`.
        announced: Its run; None where none is going on.
        told: Section -> its JSON, as it was last looked at.
        viewers: How many pages show it.
    """

    def __init__(
        self, name: str, manifest: Path, ledger: Path, pictures: Pictures, known: Manifest | None = None
    ) -> None:
        self.key = key_of(str(ledger))
        self.name = name
        self.announced: Announced | None = None
        self.told: dict[str, bytes] = {}
        self.viewers = 0
        self._file, self._manifest, self._pictures = manifest, known, pictures
        self._follower = Follower(ledger)
        self._begin()
        self._one = anyio.Lock()
        self._fresh_at: datetime | None = None
        self._fresh: tuple[Item, ...] = ()

    def _begin(self) -> None:
        self._board = Board(self._follower.read_line)
        self._teller = Teller(self._board)

    @property
    def card(self) -> Card:
        """How the list shows it."""
        board = self._board
        return Card(
            self.key,
            escape(self.name),
            escape(str(self._file)),
            self.announced is not None,
            board.total,
            board.number(State.DONE),
            board.number(State.FAILED),
        )

    @property
    def is_missed(self) -> bool:
        """Whether a run goes on by the ledger, and nobody knows it."""
        history = self._board.history
        return self.announced is None and bool(history.runs) and not history.ended

    def close(self) -> None:
        """Let the ledger go."""
        self._follower.close()

    async def look(self) -> None:
        """Bring everything up to date."""
        async with self._one:
            await self._look()

    async def glance(self) -> None:
        """Bring what the list shows up to date; the run is not asked."""
        async with self._one:
            await to_thread.run_sync(self._read)

    async def _look(self) -> None:
        trouble = await to_thread.run_sync(self._read)
        live = await self._ask_live()
        now = datetime.now(UTC)
        sections = self._teller.tell(live, "" if live else self._why_not(), now)
        told = {name: _encode(getattr(sections, name)) for name in sections.__struct_fields__}
        told["trouble"] = _encode(escape(trouble))
        if live is None or self._fresh_at is None or (now - self._fresh_at).total_seconds() >= FRESH_EVERY_S:
            self._fresh_at, self._fresh = now, sections.fresh
        items, wanted = await to_thread.run_sync(self._with_pictures)
        told["fresh"] = _encode(items)
        if self.viewers:
            self._pictures.want(wanted, calm=live is not None and live.stage == "run")
        self.told = told

    async def do(self, command: Command) -> Reply:
        """Have the run do something."""
        if self.announced is None:
            return Reply(self._why_not())
        return await control.ask(self.announced, command)

    async def story(self, task_id: str) -> list[Moment]:
        """Return all that the ledger tells of a task."""
        path = self._follower.path
        try:
            return await to_thread.run_sync(lambda: list(story(task_id, read_ledger(path))))
        except LedgerError:
            return []

    def price(self, task_id: str) -> str | None:
        """Return what a task costs if it is submitted again, in USD; empty where nobody knows, None for no task."""
        record = self._board.history.get(task_id) if is_task_id(task_id) else None
        seen = record and self._board.history.seen(record)
        if not seen:
            return None
        return "" if seen.estimated_usd is None else amount(seen.estimated_usd)

    def input_of(self, task_id: str) -> Path | None:
        """Return the file that a task reads; None for a URL, and where there is no such task."""
        record = self._board.history.get(task_id) if is_task_id(task_id) else None
        seen = record and self._board.history.seen(record)
        if not seen or seen.url or self._manifest is None:
            return None
        try:
            base = self._manifest.resolve(to_path(seen.root))
        except ManifestError:  # a variable that an earlier run had
            return None
        return Source(root=seen.root, path=seen.path, base=str(base)).file

    def output_of(self, task_id: str) -> Path | None:
        """Return the file that a task has made; None where it has not, and where there is no such task."""
        record = self._board.history.get(task_id) if is_task_id(task_id) else None
        done = record and self._board.history.last(record)
        if not isinstance(done, events.Done) or self._manifest is None:
            return None
        return self._manifest.output_dir / to_path(done.output)

    def _with_pictures(self) -> tuple[list[Item], list[Path]]:
        """Return what has just come out, and the files of it that have no thumbnail yet. Blocks."""
        wanted: list[Path] = []
        items = []
        for item in self._fresh:
            files = self.input_of(item.id), self.output_of(item.id)
            stages = [self._pictures.stage(file) for file in files]
            wanted += [file for file, stage in zip(files, stages, strict=True) if file and not stage]
            items.append(msgspec.structs.replace(item, before=stages[0], after=stages[1]))
        return items, wanted

    def _read(self) -> str:
        """Take in what the ledger has more; return what is wrong with it."""
        if self._manifest is None:
            with suppress(ManifestError):  # without it no pictures are found; all else is
                self._manifest = load(self._file)
        try:
            if self._follower.turned():
                self._begin()
            for offset, line in self._follower.lines():
                self._board.add(offset, line)
        except LedgerError as error:
            return str(error)
        return ""

    async def _ask_live(self) -> Live | None:
        if self.announced is None:
            return None
        with anyio.move_on_after(ANSWER_S):
            reply = await control.ask(self.announced, Command("state"))
            if reply.live is None:
                self.announced = None
            return reply.live
        return None

    def _why_not(self) -> str:
        run = f"batchup run {self._file}"
        history = self._board.history
        if self.announced is not None:
            return f"The run (process {self.announced.pid}) does not answer. It may be stopped, or its machine busy."
        if not history.runs:
            return f"No run has begun yet. {run} begins one."
        if not history.ended:
            return f"The last run was cut short, or goes on where this page cannot ask it. {run} goes on."
        return f"No run is going on. {run} starts one."


def is_task_id(text: str) -> bool:
    """Return whether a text has the form of a task's id."""
    return len(text) == ID_LENGTH and ID_DIGITS.issuperset(text)
