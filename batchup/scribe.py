"""Scribe: writes a sidecar beside each output of a run that asks for them.

The sidecar is on disk before the output has its name: whoever finds an output finds out how it was made.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from batchup import events, sidecar
from batchup.disk import sync_folder
from batchup.history import History
from batchup.manifest import Manifest
from batchup.plan import Action, Plan, Step
from batchup.sidecar import Sidecar, SidecarError, Story
from batchup.source import to_path
from batchup.version import __version__

_TAKEN_UP = (Action.ATTACH, Action.HEAL, Action.COPY)
"""What is done with tasks that were submitted by an earlier run."""

_ASKED = (b'{"event":"submitting"', b'{"event":"submitted"', b'{"event":"result"')


class Asked(msgspec.Struct):
    """What was asked of a provider for one task, last."""

    submitting: events.Submitting | None = None
    submitted: events.Submitted | None = None
    result: events.Result | None = None


class Scribe:
    """Hears what happens to tasks, and writes it down beside their outputs.

    Args:
        manifest: Of the job.
        history: Of its ledger; knows every task that an output is made for.
        replay: Yields the ledger's offsets and lines.
    """

    def __init__(
        self, manifest: Manifest, history: History, replay: Callable[[], Iterable[tuple[int, bytes]]]
    ) -> None:
        self._job, self._folder, self._history = manifest.name, manifest.output_dir, history
        self._replay = replay
        self._asked: dict[str, Asked] = {}

    def heard(self, event: events.Event) -> None:
        """Remember what is asked of a provider until the task ends."""
        if isinstance(event, events.Submitting):
            self._asked[event.id] = Asked(submitting=replace(event, body={}))
        elif isinstance(event, events.Submitted):
            self._asked.setdefault(event.id, Asked()).submitted = event
        elif isinstance(event, events.Result):
            self._asked.setdefault(event.id, Asked()).result = event
        elif isinstance(event, events.Done | events.Failed):
            self._asked.pop(event.id, None)

    def begin(self, plan: Plan) -> None:
        """Write the sidecars that outputs of earlier runs lack, and recall what those have asked for. Blocks.

        Raises:
            OSError: The disk refuses.
        """
        lacking = {step.task.id for step in self._lacking(plan)}
        steps = (step for action in _TAKEN_UP for step in plan.steps.pick(plan.places(action)))
        taken_up = {task_id for step in steps for task_id in (step.task.id, step.other) if task_id}
        if not lacking and not taken_up:
            return
        wanted = lacking | taken_up
        for _, line in self._replay():
            if line.startswith(_ASKED):
                event = events.decode(line)
                if getattr(event, "id", "") in wanted:
                    self.heard(event)
        for step in self._lacking(plan):
            self._catch_up(step)
            if step.task.id not in taken_up:
                self._asked.pop(step.task.id, None)

    def write(self, step: Step, part: Path, done: events.Done, mtime_ns: int | None) -> None:
        """Write the sidecar of an output that is about to be given its name. Blocks.

        Args:
            step: What it was made by.
            part: The output, complete and checked.
            done: What will be said of it.
            mtime_ns: Modification time that it gets; None to leave it.

        Raises:
            OSError: The disk refuses.
        """
        stat = part.stat()
        told = replace(done, size_bytes=stat.st_size, mtime_ns=mtime_ns or stat.st_mtime_ns)
        self._write(step, told, part.with_name(Path(to_path(done.output)).name))

    def _lacking(self, plan: Plan) -> Iterator[Step]:
        """Yield what is done, and has an output but no sidecar."""
        for step in plan.steps.pick(plan.places(Action.KEEP)):
            output = self._folder / to_path(step.task.output)
            if not os.path.lexists(sidecar.beside(output)) and output.is_file():
                yield step

    def _catch_up(self, step: Step) -> None:
        record = self._history.get(step.task.id)
        done = self._history.done(record) if record else None
        if done is not None:
            output = self._folder / to_path(done.output)
            self._write(step, done, output)
            sync_folder(output.parent)

    def _write(self, step: Step, done: events.Done, output: Path) -> None:
        own = self._story(done)
        if own is None:
            return  # a ledger that was repaired may have lost that line; then there is nothing to say
        is_copy = done.copied_from not in {"", done.id}
        origin = self._origin(done.copied_from) if is_copy else None
        one = Sidecar(version=__version__, job=self._job, params=step.task.params, own=own, origin=origin)
        sidecar.write(one, output)

    def _story(self, done: events.Done) -> Story | None:
        record = self._history.get(done.id)
        seen = self._history.seen(record) if record else None
        if seen is None:
            return None
        asked = self._asked.get(done.id, Asked())
        return Story(
            task=replace(seen, output=done.output),
            submitting=asked.submitting,
            submitted=asked.submitted,
            result=asked.result,
            done=done,
        )

    def _origin(self, task_id: str) -> Story | None:
        """Return what happened to the task that a copy is made from; its own sidecar may be about to be replaced."""
        record = self._history.get(task_id)
        done = self._history.done(record) if record else None
        if done is None:
            return None
        try:
            told = sidecar.read(sidecar.beside(self._folder / to_path(done.output)))
        except SidecarError:
            return self._story(done)
        return (told.origin or told.own) if told.own.done.id == task_id else self._story(done)
