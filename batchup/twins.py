"""Twins: what other tasks have made, or are making, of the same contents with the same model and parameters."""

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from batchup import digest, outputs
from batchup.events import Done
from batchup.history import IN_FLIGHT, History, Record, State
from batchup.plan import EXPIRED, Action
from batchup.source import to_path
from batchup.task import Task

SAME = "same contents as another"

_SAME_ENDING = {".jpeg": ".jpg", ".tiff": ".tif"}


class Decision(NamedTuple):
    """What is to be done with a task; its fields as in :class:`batchup.plan.Step`."""

    action: Action
    reason: str
    detail: str = ""
    other: str = ""
    other_output: str = ""


class Twins:
    """Looks for them in the history.

    Args:
        history: Of the ledger.
        out: Folder of the outputs.
        resubmits_held: Whether held tasks are submitted again.
    """

    def __init__(self, history: History, out: Path, *, resubmits_held: bool) -> None:
        self._history, self._out, self._resubmits_held = history, out, resubmits_held

    def claims(self, record: Record, output: str) -> bool:
        """Return whether the ledger's last word on a name is this task's."""
        return not record.orphaned and self._history.claims.of(output) in {record.seen, record.last}

    def inspect(self, record: Record, done: Done) -> str:
        """Return what has become of an output; ``replaced`` if another task of this job was written over it."""
        file = f"{self._out}/{to_path(done.output)}"  # a million times: a Path would take as long as the disk
        finding = outputs.inspect(file, done, outputs.verify)
        if self.claims(record, done.output) or finding in {"missing", "damaged"}:
            return finding
        # Somebody else of this job was given the name since: it may have been written, and by chance look alike.
        same = finding == "intact" and digest.sha256(file) == done.sha256
        return "intact" if same else "replaced by another task's"

    def known(self, content: str, task: Task) -> Decision | None:
        """Return what is to be done with a task, where another one has had these contents."""
        twin = self._history.twin(content)
        record = self._history.get(twin) if twin and twin != task.id else None
        if twin is None or record is None:
            return None
        if record.state in IN_FLIGHT and not record.present:
            # Its task is gone, and nobody else would collect it.
            return Decision(Action.ATTACH, "in flight", f"submitted for {self._label(record)}", twin)
        if record.state in IN_FLIGHT or (record.state is State.FAILED and record.present):
            return Decision(Action.FOLLOW, SAME, self._label(record), twin)
        if record.state is State.HELD and (record.present or not self._resubmits_held):
            return Decision(Action.FOLLOW, SAME, self._label(record), twin)
        return self.made(twin, task, SAME)

    def made(self, twin: str, task: Task, reason: str, *, copies: bool = True) -> Decision | None:
        """Return how a task gets, for nothing, what *twin* has made; None if that is gone.

        Args:
            twin: Id of a task with the same contents; empty for none.
            task: Which wants them.
            reason: Why.
            copies: Whether an output that is there will do.
        """
        seen: set[str] = set()
        while twin and twin not in seen:
            seen.add(twin)
            record = self._history.get(twin)
            done = self._history.done(record) if record else None
            if record is None:
                return None
            if copies and done and twin != task.id and self._stands(task, record, done):
                return Decision(Action.COPY, reason, done.output, twin, done.output)
            if record.result >= 0 and record.failure != EXPIRED:
                return Decision(Action.HEAL, reason, f"paid for {self._label(record)}", twin)
            twin = done.copied_from if done else ""
        return None

    def _stands(self, task: Task, record: Record, done: Done) -> bool:
        return ending(done.output) == ending(task.output) and self.inspect(record, done) == "intact"

    def _label(self, record: Record) -> str:
        seen = self._history.seen(record)
        return seen.label if seen else "another"


def ending(output: str) -> str:
    """Return what a copy must have in common with its original: one container is not another."""
    suffix = PurePosixPath(output).suffix.lower()
    return _SAME_ENDING.get(suffix, suffix)
