"""Tasks and history → plan. Changes nothing, sends nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from batchup import digest, outputs
from batchup.batch import Batch
from batchup.catalogue import Catalogue
from batchup.contents import Contents
from batchup.errors import Fault, ManifestError
from batchup.events import Done
from batchup.history import IN_FLIGHT, History, Record, State
from batchup.inputs import Patterns, Skipped
from batchup.manifest import Manifest
from batchup.occupied import Occupied
from batchup.plan import BEYOND_LIMIT, EXPIRED, LOST, NOT_REHEARSED, TO_RUN, Action, Choice, Plan, Step
from batchup.source import Source, to_path
from batchup.spool import Spool
from batchup.task import Task

TICK_EVERY = 500
_LEADING = frozenset({Action.RUN, Action.ATTACH, Action.LEAVE})
_SAME_ENDING = {".jpeg": ".jpg", ".tiff": ".tif"}


class _Decision(NamedTuple):
    action: Action
    reason: str
    detail: str = ""
    other: str = ""
    other_output: str = ""


@dataclass(frozen=True, slots=True)
class _Before:
    """What the ledger has of the same input under another id."""

    reason: str
    was_done: bool


def make(
    batch: Batch,
    history: History,
    manifest: Manifest,
    choice: Choice | None = None,
    *,
    catalogue: Catalogue | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Plan:
    """Return what a run would do now.

    Args:
        batch: Every task of the manifest.
        history: Of its ledger. Its records are marked as present.
        manifest: For the output's settings.
        choice: What was asked of the run.
        catalogue: Of the manifest's models.
        tick: Called now and then; what it raises ends the planning.

    Raises:
        ManifestError: A file that this ledger does not know stands where an output would, and it is broken or
            ``output.exists`` is ``error``.
    """
    endpoint = (catalogue or Catalogue(manifest)).find
    contents = Contents(batch, history, lambda name: endpoint(name).endpoint)
    return _Planner(batch, history, manifest, choice or Choice(), contents).plan(tick)


class _Asked:
    """Inputs that a person chose by patterns: of the path below its root, or of all that a plan shows."""

    def __init__(self, option: str, patterns: tuple[str, ...]) -> None:
        self.option = option
        self._left = {text: Patterns([text]) for text in patterns}
        self._all = Patterns(patterns)

    def chooses(self, source: Source) -> bool:
        """Return whether *source* is meant."""
        if not self._all:
            return False
        names = (source.path, source.label)
        for text in [text for text, pattern in self._left.items() if any(map(pattern.match, names))]:
            del self._left[text]
        return any(map(self._all.match, names))

    def missed(self) -> Iterator[Fault]:
        """Yield the patterns that have fitted nothing so far."""
        for text in self._left:
            yield Fault("", 0, 0, f"{self.option} {text}: matches no input")


class _Planner:
    def __init__(
        self,
        batch: Batch,
        history: History,
        manifest: Manifest,
        choice: Choice,
        contents: Contents,
    ) -> None:
        self._batch, self._history, self._manifest, self._choice = batch, history, manifest, choice
        self._out = manifest.output_dir
        self._redo = _Asked("--redo", choice.redo)
        self._only = _Asked("--only", choice.only)
        self._retried = False
        self._vanished: dict[int, int] = {}
        self._contents = contents
        self._occupied = Occupied(manifest, history, outputs.verify)
        self._leaders: dict[bytes, int] = {}
        self._running = 0

    def plan(self, tick: Callable[[], None]) -> Plan:
        plan = Plan(Spool(Step), self._batch.left_out, self._batch.skipped)
        tasks = self._batch.tasks
        for task in tasks:
            record = self._history.get(task.id)
            if record is not None:
                record.present = True
        self._note_vanished()
        for number, which in enumerate(_order(tasks, self._manifest.run.order)):
            if number % TICK_EVERY == 0:
                tick()
            self._add(plan, tasks[which])
        if self._occupied.faults:
            raise ManifestError(self._occupied.faults)
        self._note_orphans(plan)
        plan.warnings += self._unheard()
        return plan

    def _unheard(self) -> Iterator[Fault]:
        """Yield what was asked for and fits nothing."""
        yield from self._redo.missed()
        yield from self._only.missed()
        kinds = self._choice.retry_kinds
        if kinds and not self._retried:
            there = ", ".join(sorted(self._history.failures())) or "none at all"
            yield Fault("", 0, 0, f"--class {', '.join(sorted(kinds))}: no such failures; there are {there}")

    def _note_vanished(self) -> None:
        """Remember the inputs of tasks that are gone, to know a changed input or parameter from a new one."""
        for record in self._history.records.values():
            seen = None if record.present else self._history.seen(record)
            if seen is not None:
                self._contents.gone.add(seen.size_bytes)
                self._vanished[hash((seen.root, seen.path, seen.url))] = record.seen

    def _note_orphans(self, plan: Plan) -> None:
        for key, record in self._history.records.items():
            if not record.present:
                plan.orphaned += 1
                if not record.orphaned:
                    plan.orphans.append(key.hex())

    def _add(self, plan: Plan, task: Task) -> None:
        record = self._history.get(task.id)
        sha256, content = self._contents.of(task, record)
        decision = self._select(task, self._decide(plan, task, record, content))
        if decision.action in TO_RUN and not self._may_write(task, record, decision):
            self._batch.skip(Skipped(task.source.label, "an output is there already", task.output))
            if record is not None:
                record.present = False
            return
        if content and decision.action in _LEADING:
            self._leaders.setdefault(bytes.fromhex(content), len(plan.steps))
        before = self._before(task) if record is None else None
        step = Step(
            task=task,
            action=decision.action,
            reason=decision.reason,
            detail=decision.detail,
            attempts=record.attempts if record else 0,
            other=decision.other,
            other_output=decision.other_output,
            sha256=sha256,
            content=content,
            known=record is not None and self._claims(record, task.output),
            was_done=record.state is State.DONE if record else before is not None and before.was_done,
        )
        plan.add(step, record.state if record else State.PENDING)

    def _claims(self, record: Record, output: str) -> bool:
        """Return whether the ledger's last word on a name is this task's."""
        return not record.orphaned and self._history.claims.get(hash(output)) in {record.seen, record.last}

    def _may_write(self, task: Task, record: Record | None, decision: _Decision) -> bool:
        """Return whether the output's name is free, or holds what this job wrote."""
        heals = (
            record is not None and record.state is State.DONE and decision.action in {Action.RUN, Action.HEAL}
        )
        if heals and self._claims(record, task.output):  # type: ignore[arg-type] # heals says that there is one
            return True
        return self._occupied.by(task) is None

    def _select(self, task: Task, decision: _Decision) -> _Decision:
        """Leave for later what was not asked for, or is beyond the limit."""
        if decision.action not in TO_RUN:
            return decision
        if self._choice.rehearsal and _is_foreign(task, decision.action):
            return _Decision(Action.LATER, NOT_REHEARSED, decision.reason)
        if self._choice.only and not self._only.chooses(task.source):
            return _Decision(Action.LATER, "not chosen by --only")
        if self._choice.limit is not None and self._running >= self._choice.limit:
            return _Decision(Action.LATER, BEYOND_LIMIT)
        self._running += 1
        return decision

    def _decide(self, plan: Plan, task: Task, record: Record | None, content: str) -> _Decision:
        state = record.state if record else State.PENDING
        if record is not None and state is State.DONE:
            return self._decide_done(task, record)
        if state in IN_FLIGHT:
            return _Decision(Action.ATTACH, "in flight")
        if state is State.HELD and not self._choice.resubmit_held:
            return _Decision(Action.LEAVE, "held")
        failed = self._decide_failed(task, record) if record is not None and state is State.FAILED else None
        if failed is not None and failed.action is not Action.RUN:
            return failed
        run = failed or _Decision(Action.RUN, self._why(task, record))
        return self._twin(plan, content, task) or run

    def _why(self, task: Task, record: Record | None) -> str:
        if record is not None:
            return "held; submitted again" if record.state is State.HELD else "pending"
        before = self._before(task)
        return before.reason if before else "new"

    def _decide_failed(self, task: Task, record: Record) -> _Decision:
        if record.failure == EXPIRED:
            if self._redo.chooses(task.source):
                return _Decision(Action.RUN, "asked for by --redo")
            return _Decision(
                Action.LEAVE, LOST, "its result has expired; --redo runs it again, for its price"
            )
        if not self._retries(record):
            return _Decision(Action.LEAVE, f"failed before: {record.failure}")
        reason = f"failed before: {record.failure}; tried again"
        if record.result >= 0:
            return _Decision(Action.HEAL, reason, "it was paid: only its output is fetched again")
        return _Decision(Action.RUN, reason)

    def _retries(self, record: Record) -> bool:
        kinds = self._choice.retry_kinds
        chosen = self._choice.retry_failed and (not kinds or record.failure in kinds)
        self._retried |= chosen
        return chosen

    def _decide_done(self, task: Task, record: Record) -> _Decision:
        if self._redo.chooses(task.source):
            return _Decision(Action.RUN, "asked for by --redo")
        done = self._history.done(record)
        assert done is not None
        if done.stripped != (self._manifest.output.metadata == "strip"):
            decision = _Decision(Action.RUN, "output.metadata changed")
        else:
            decision = self._decide_intact(task, done, self._inspect(record, done))
        # What was paid for is fetched again rather than run again.
        return (
            decision._replace(action=Action.HEAL)
            if decision.action is Action.RUN and record.result >= 0
            else decision
        )

    def _decide_intact(self, task: Task, done: Done, finding: str) -> _Decision:
        if finding == "changed" and not self._choice.restore:
            return _Decision(Action.KEEP, "done", "the output was changed by somebody; --restore replaces it")
        if finding == "missing" and self._manifest.output.missing == "leave":
            return _Decision(Action.KEEP, "done", "the output was deleted by somebody")
        if finding != "intact":
            return _Decision(Action.RUN, f"output {finding}")
        if done.output != task.output:
            return _Decision(Action.COPY, "renamed", done.output, task.id, done.output)
        return _Decision(Action.KEEP, "done")

    def _inspect(self, record: Record, done: Done) -> str:
        """Return what has become of an output; ``replaced`` if another task of this job was written over it."""
        file = self._out / to_path(done.output)
        finding = outputs.inspect(file, done, outputs.verify)
        if self._claims(record, done.output) or finding in {"missing", "damaged"}:
            return finding
        # Somebody else of this job was given the name since: it may have been written, and by chance look alike.
        same = finding == "intact" and digest.sha256(file) == done.sha256
        return "intact" if same else "replaced by another task's"

    def _before(self, task: Task) -> _Before | None:
        """Return what changed since a task of the same input that is gone."""
        source = task.source
        offset = self._vanished.get(hash((source.root, source.path, source.url)))
        seen = self._history.read_seen(offset) if offset is not None else None
        if seen is None or (seen.root, seen.path, seen.url) != (source.root, source.path, source.url):
            return None
        old = self._history.get(seen.id)
        same_file = (seen.size_bytes, seen.mtime_ns) == (source.size_bytes, source.mtime_ns)
        reason = "parameters changed" if same_file else "input changed"
        return _Before(reason, old is not None and old.state is State.DONE)

    def _twin(self, plan: Plan, content: str, task: Task) -> _Decision | None:
        """Return the decision for a task whose work on whose contents another task does or did."""
        if not content:
            return None
        number = self._leaders.get(bytes.fromhex(content))
        if number is not None:
            leader = plan.steps[number].task
            follow = _Decision(Action.FOLLOW, "same contents as another", leader.source.label, leader.id)
            return follow if _ending(leader.output) == _ending(task.output) else None
        return self._known_twin(content, task)

    def _known_twin(self, content: str, task: Task) -> _Decision | None:
        twin = self._history.twin(content)
        record = self._history.get(twin) if twin and twin != task.id else None
        if record is None or twin is None:
            return None
        if record.state in IN_FLIGHT or record.state is State.HELD:
            return _Decision(Action.FOLLOW, "same contents as another", self._label(record), twin)
        done = self._history.done(record)
        if done and _ending(done.output) == _ending(task.output) and self._inspect(record, done) == "intact":
            return _Decision(Action.COPY, "same contents as another", done.output, twin, done.output)
        return None

    def _label(self, record: Record) -> str:
        seen = self._history.seen(record)
        return (seen.url or f"{seen.root}/{seen.path}") if seen else "another"


def _is_foreign(task: Task, action: Action) -> bool:
    """Return whether this machine would fetch something from another one; a provider that does is another matter."""
    return action is Action.HEAL or (bool(task.source.url) and task.provider == "local")


def _ending(output: str) -> str:
    """Return what a copy must have in common with its original: one container is not another."""
    suffix = PurePosixPath(output).suffix.lower()
    return _SAME_ENDING.get(suffix, suffix)


def _order(tasks: Spool[Task], order: str) -> Iterator[int]:
    """Return the numbers of the tasks in the order in which they are to run; equals stay as listed."""
    keys: Mapping[str, Callable[[Task], float]] = {
        "smallest": lambda task: task.width * task.height,
        "largest": lambda task: -task.width * task.height,
        "cheapest": lambda task: float("inf") if task.cost_usd is None else float(task.cost_usd),
    }
    if order not in keys:
        return iter(range(len(tasks)))
    key = [keys[order](task) for task in tasks]
    return iter(sorted(range(len(tasks)), key=key.__getitem__))
