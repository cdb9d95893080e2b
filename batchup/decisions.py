"""Decisions: what would be done about one task now, and why, by what the ledger knows of it and its output holds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from batchup.asked import Asked
from batchup.errors import Fault
from batchup.events import Done, Seen
from batchup.history import IN_FLIGHT, History, Record, State
from batchup.keys import Offsets
from batchup.manifest import Manifest
from batchup.plan import EXPIRED, HELD, LOOKED_FOR, LOST, Action, Choice, Step
from batchup.source import Source
from batchup.task import Task
from batchup.twins import SAME, Decision, Twins, ending

METADATA = "output.metadata changed"


@dataclass(frozen=True, slots=True)
class Before:
    """What the ledger has of the same input under another id.

    Attributes:
        reason: Why the id is another one now.
        was_done: Whether that task was done.
    """

    reason: str
    was_done: bool


class Decisions:
    """Decides about one task after the other, in the plan's order."""

    def __init__(
        self,
        history: History,
        manifest: Manifest,
        choice: Choice,
        twins: Twins,
        leader: Callable[[str], Step | None],
    ) -> None:
        """Take what it goes by.

        Args:
            history: Of the job.
            manifest: For the output's settings.
            choice: What was asked of the run.
            twins: Know what has the same contents, in the ledger and on the disk.
            leader: Returns the step of this plan that comes first with some contents; None where none does.
        """
        self._history, self._output, self._choice = history, manifest.output, choice
        self._twins, self._leader = twins, leader
        self._redo = Asked("--redo", choice.redo)
        self._retried = False
        self._vanished = Offsets()

    def note_vanished(self, seen: Seen, record: Record) -> None:
        """Remember the input of a task that is gone, to know a changed input or parameter from a new one.

        Of an input's tasks one that was done counts, whichever come after it: nobody pays again unasked.

        Args:
            seen: What it was.
            record: Of the task.
        """
        for name in (_name(seen), _name(seen, seen.model)):
            if record.state is State.DONE or name not in self._vanished:
                self._vanished[name] = record.seen

    def unheard(self) -> Iterator[Fault]:
        """Yield what was asked for and fitted nothing, once all tasks are decided."""
        yield from self._redo.missed()
        kinds = self._choice.retry_kinds
        if kinds and not self._retried:
            there = ", ".join(sorted(self._history.failures())) or "none at all"
            yield Fault("", 0, 0, f"--class {', '.join(sorted(kinds))}: no such failures; there are {there}")

    def decide(self, task: Task, record: Record | None, content: str) -> Decision:
        """Return what would be done about a task.

        Args:
            task: Which.
            record: What the ledger has of it; None for nothing.
            content: Key of what is to be done with which contents; empty where nobody knows them yet.
        """
        state = record.state if record else State.PENDING
        if record is not None and state is State.DONE:
            return self._done(task, record)
        if state in IN_FLIGHT:
            return Decision(Action.ATTACH, "in flight")
        if state is State.HELD and not self._choice.resubmit_held:
            return self._held(task, content)
        failed = self._failed(task, record) if record is not None and state is State.FAILED else None
        if failed is not None and failed.action is not Action.RUN:
            return failed
        run = failed or Decision(Action.RUN, self._why(task, record))
        return self._twin(task, content) or run

    def before(self, task: Task) -> Before | None:
        """Return what changed since a task of the same input that is gone; None where there is none.

        One of the same model counts before one of another.
        """
        source = task.source
        for name in (_name(source, task.model), _name(source)):
            seen = self._history.read_seen(self._vanished.of(name))
            if seen is not None and (seen.root, seen.path, seen.url) == (
                source.root,
                source.path,
                source.url,
            ):
                break
        else:
            return None
        old = self._history.get(seen.id)
        if (seen.size_bytes, seen.mtime_ns) != (source.size_bytes, source.mtime_ns):
            reason = "input changed"
        else:
            reason = "parameters changed" if seen.model == task.model else "model changed"
        return Before(reason, old is not None and old.state is State.DONE)

    def _why(self, task: Task, record: Record | None) -> str:
        if record is not None:
            return "held; submitted again" if record.state is State.HELD else "pending"
        before = self.before(task)
        return before.reason if before else "new"

    def _failed(self, task: Task, record: Record) -> Decision:
        if record.failure == EXPIRED:
            if self._redo.chooses(task.source):
                return Decision(Action.RUN, "asked for by --redo")
            return Decision(Action.LEAVE, LOST, "its result has expired; --redo runs it again, for its price")
        if not self._retries(record):
            return Decision(Action.LEAVE, f"failed before: {record.failure}")
        reason = f"failed before: {record.failure}; tried again"
        if record.result >= 0:
            return Decision(Action.HEAL, reason, "it was paid: only its output is fetched again")
        return Decision(Action.RUN, reason)

    def _retries(self, record: Record) -> bool:
        kinds = self._choice.retry_kinds
        chosen = self._choice.retry_failed and (not kinds or record.failure in kinds)
        self._retried |= chosen
        return chosen

    def _done(self, task: Task, record: Record) -> Decision:
        if self._redo.chooses(task.source):
            return Decision(Action.RUN, "asked for by --redo")
        done = self._history.done(record)
        assert done is not None
        if done.stripped != (self._output.metadata == "strip"):
            decision = Decision(Action.RUN, METADATA)
        else:
            decision = self._intact(task, done, self._twins.inspect(record, done))
        if decision.action is not Action.RUN:
            return decision
        # What was paid for is copied or fetched again rather than run again.
        if record.result >= 0:
            return decision._replace(action=Action.HEAL)
        made = self._twins.made(done.copied_from, task, decision.reason, copies=decision.reason != METADATA)
        return made or decision

    def _intact(self, task: Task, done: Done, finding: str) -> Decision:
        if finding == "changed" and not self._choice.restore:
            return Decision(Action.KEEP, "done", "the output was changed by somebody; --restore replaces it")
        if finding == "missing" and self._output.missing == "leave":
            return Decision(Action.KEEP, "done", "the output was deleted by somebody")
        if finding != "intact":
            return Decision(Action.RUN, f"output {finding}")
        if done.output != task.output:
            return Decision(Action.COPY, "renamed", done.output, task.id, done.output)
        return Decision(Action.KEEP, "done")

    def _twin(self, task: Task, content: str) -> Decision | None:
        """Return the decision for a task whose work on whose contents another task does or did."""
        if not content:
            return None
        leader = self._leader(content)
        if leader is None:
            return self._twins.known(content, task)
        follow = Decision(Action.FOLLOW, SAME, leader.task.source.label, leader.task.id)
        return follow if ending(leader.task.output) == ending(task.output) else None

    def _held(self, task: Task, content: str) -> Decision:
        """Leave a held task, unless more is known by now of another with the same contents."""
        left = Decision(Action.LEAVE, "held", LOOKED_FOR if self._history.sent(task.id) else HELD)
        leader = self._leader(content) if content else None
        twin = None if leader is not None and leader.action is Action.LEAVE else self._twin(task, content)
        if twin is None or twin.action is not Action.FOLLOW:
            return twin or left
        other = self._history.get(twin.other)
        return left if other is not None and other.state in {State.HELD, State.FAILED} else twin


def _name(one: Source | Seen, model: str = "") -> str:
    """Return what an input is known by, whatever it holds, and what was made of it by *model*."""
    return f"{one.root}\0/{one.path}\0/{one.url}\0/{model}"
