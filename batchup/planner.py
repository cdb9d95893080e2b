"""Tasks and history → plan. Changes nothing, sends nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from batchup import outputs
from batchup.asked import Asked
from batchup.batch import Batch
from batchup.catalogue import Catalogue
from batchup.contents import Contents
from batchup.errors import Fault
from batchup.events import Done, Seen
from batchup.history import IN_FLIGHT, History, Record, State
from batchup.inputs import Skipped
from batchup.keys import Index, Offsets
from batchup.manifest import Manifest
from batchup.models import LOCAL, PROVIDERS
from batchup.occupied import Occupied
from batchup.order import ordered
from batchup.plan import (
    BEYOND_LIMIT,
    EXPIRED,
    HELD,
    LOOKED_FOR,
    LOST,
    NOT_REHEARSED,
    SPARED,
    TO_RUN,
    Action,
    Choice,
    Plan,
    Step,
)
from batchup.sample import sampled
from batchup.source import Source
from batchup.spool import Spool
from batchup.task import ID_BYTES, Task
from batchup.twins import SAME, Decision, Twins, ending

TICK_EVERY = 500
METADATA = "output.metadata changed"
_LEADING = frozenset({Action.RUN, Action.ATTACH, Action.LEAVE})


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
    tick: Callable[[int], None] = lambda _: None,
) -> Plan:
    """Return what a run would do now.

    Args:
        batch: Every task of the manifest.
        history: Of its ledger. Its records are marked as present.
        manifest: For the output's settings.
        choice: What was asked of the run.
        catalogue: Of the manifest's models.
        tick: Called now and then with the number of tasks that are planned; what it raises ends the planning.

    Raises:
        ManifestError: A file that this ledger does not know stands where an output would, and it is broken or
            ``output.exists`` is ``error``.
    """
    endpoint = (catalogue or Catalogue(manifest)).find
    contents = Contents(batch, history, lambda name: endpoint(name).endpoint)
    return _Planner(batch, history, manifest, choice or Choice(), contents).plan(tick)


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
        self._redo = Asked("--redo", choice.redo)
        self._only = Asked("--only", choice.only)
        self._retried = False
        self._vanished = Offsets()
        self._contents = contents
        self._occupied = Occupied(manifest, history, outputs.verify)
        resubmits = choice.resubmit_held
        self._twins = Twins(history, self._out, resubmits_held=resubmits)
        self._leaders = Index(ID_BYTES, "Q", first=True)
        self._running = 0

    def plan(self, tick: Callable[[int], None]) -> Plan:
        plan = Plan(Spool(Step), self._batch.left_out, self._batch.skipped)
        tasks = self._batch.tasks
        for number, task in enumerate(tasks):
            if number % TICK_EVERY == 0:
                tick(0)
            record = self._history.get(task.id)
            if record is not None:
                record.present = True
        self._note_vanished()
        for number, which in enumerate(ordered(tasks, self._manifest.run.order)):
            if number % TICK_EVERY == 0:
                tick(number)
            self._add(plan, tasks[which])
        self._occupied.faults.tell()
        if self._choice.sample is not None:
            plan = sampled(plan, self._choice, self._history, lambda: tick(len(tasks)))
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
        for record in self._history.records.absent():
            seen = self._history.seen(record)
            if seen is not None:
                self._contents.gone.add(seen.size_bytes)
                self._vanished[_name(seen)] = record.seen

    def _note_orphans(self, plan: Plan) -> None:
        for record in self._history.records.absent():
            plan.orphaned += 1
            if not record.orphaned:
                plan.orphans.append(record.key.hex())

    def _add(self, plan: Plan, task: Task) -> None:
        record = self._history.get(task.id)
        sha256, content = self._contents.of(task, record)
        decision = self._select(task, self._decide(plan, task, record, content))
        writes = decision.action in TO_RUN or (decision.action is Action.ATTACH and decision.other)
        if writes and not self._may_write(task, record, decision):
            self._batch.skip(Skipped(task.source.label, "an output is there already", task.output))
            if record is not None:
                record.present = False
            return
        if content and decision.action in _LEADING:
            self._leaders.put(bytes.fromhex(content), len(plan.steps))
        before = self._before(task) if record is None else None
        was_done = record.state is State.DONE if record else before is not None and before.was_done
        if self._choice.spares and was_done and decision.action is Action.RUN and task.cost_usd != 0:
            self._batch.skip(Skipped(task.source.label, SPARED, task.output))
            return
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
            known=record is not None and self._twins.claims(record, task.output),
            was_done=was_done,
        )
        plan.add(step, record.state if record else State.PENDING)

    def _may_write(self, task: Task, record: Record | None, decision: Decision) -> bool:
        """Return whether the output's name is free, or holds what this job wrote."""
        heals = (
            record is not None and record.state is State.DONE and decision.action in {Action.RUN, Action.HEAL}
        )
        if heals and self._twins.claims(record, task.output):  # type: ignore[arg-type] # heals says that there is one
            return True
        return self._occupied.by(task) is None

    def _select(self, task: Task, decision: Decision) -> Decision:
        """Leave for later what was not asked for, or is beyond the limit."""
        if decision.action not in TO_RUN:
            return decision
        if self._choice.rehearsal and _is_foreign(task, decision.action):
            return Decision(Action.LATER, NOT_REHEARSED, decision.reason)
        if self._choice.only and not self._only.chooses(task.source):
            return Decision(Action.LATER, "not chosen by --only")
        # A sample is taken of all, and limited then.
        limit = self._choice.limit if self._choice.sample is None else None
        if limit is not None and self._running >= limit:
            return Decision(Action.LATER, BEYOND_LIMIT)
        self._running += 1
        return decision

    def _decide(self, plan: Plan, task: Task, record: Record | None, content: str) -> Decision:
        state = record.state if record else State.PENDING
        if record is not None and state is State.DONE:
            return self._decide_done(task, record)
        if state in IN_FLIGHT:
            return Decision(Action.ATTACH, "in flight")
        if state is State.HELD and not self._choice.resubmit_held:
            return self._decide_held(plan, task, content)
        failed = self._decide_failed(task, record) if record is not None and state is State.FAILED else None
        if failed is not None and failed.action is not Action.RUN:
            return failed
        run = failed or Decision(Action.RUN, self._why(task, record))
        return self._twin(plan, content, task) or run

    def _why(self, task: Task, record: Record | None) -> str:
        if record is not None:
            return "held; submitted again" if record.state is State.HELD else "pending"
        before = self._before(task)
        return before.reason if before else "new"

    def _decide_failed(self, task: Task, record: Record) -> Decision:
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

    def _decide_done(self, task: Task, record: Record) -> Decision:
        if self._redo.chooses(task.source):
            return Decision(Action.RUN, "asked for by --redo")
        done = self._history.done(record)
        assert done is not None
        if done.stripped != (self._manifest.output.metadata == "strip"):
            decision = Decision(Action.RUN, METADATA)
        else:
            decision = self._decide_intact(task, done, self._twins.inspect(record, done))
        if decision.action is not Action.RUN:
            return decision
        # What was paid for is copied or fetched again rather than run again.
        if record.result >= 0:
            return decision._replace(action=Action.HEAL)
        made = self._twins.made(done.copied_from, task, decision.reason, copies=decision.reason != METADATA)
        return made or decision

    def _decide_intact(self, task: Task, done: Done, finding: str) -> Decision:
        if finding == "changed" and not self._choice.restore:
            return Decision(Action.KEEP, "done", "the output was changed by somebody; --restore replaces it")
        if finding == "missing" and self._manifest.output.missing == "leave":
            return Decision(Action.KEEP, "done", "the output was deleted by somebody")
        if finding != "intact":
            return Decision(Action.RUN, f"output {finding}")
        if done.output != task.output:
            return Decision(Action.COPY, "renamed", done.output, task.id, done.output)
        return Decision(Action.KEEP, "done")

    def _before(self, task: Task) -> _Before | None:
        """Return what changed since a task of the same input that is gone."""
        source = task.source
        seen = self._history.read_seen(self._vanished.of(_name(source)))
        if seen is None or (seen.root, seen.path, seen.url) != (source.root, source.path, source.url):
            return None
        old = self._history.get(seen.id)
        same_file = (seen.size_bytes, seen.mtime_ns) == (source.size_bytes, source.mtime_ns)
        reason = "parameters changed" if same_file else "input changed"
        return _Before(reason, old is not None and old.state is State.DONE)

    def _twin(self, plan: Plan, content: str, task: Task) -> Decision | None:
        """Return the decision for a task whose work on whose contents another task does or did."""
        if not content:
            return None
        leader = self._leader(plan, content)
        if leader is None:
            return self._twins.known(content, task)
        follow = Decision(Action.FOLLOW, SAME, leader.task.source.label, leader.task.id)
        return follow if ending(leader.task.output) == ending(task.output) else None

    def _leader(self, plan: Plan, content: str) -> Step | None:
        """Return the step of this plan that comes first with these contents."""
        number = self._leaders.get(bytes.fromhex(content))
        return None if number < 0 else plan.steps[number]

    def _decide_held(self, plan: Plan, task: Task, content: str) -> Decision:
        """Leave a held task, unless more is known by now of another with the same contents."""
        left = Decision(Action.LEAVE, "held", LOOKED_FOR if self._history.sent(task.id) else HELD)
        leader = self._leader(plan, content) if content else None
        twin = (
            None if leader is not None and leader.action is Action.LEAVE else self._twin(plan, content, task)
        )
        if twin is None or twin.action is not Action.FOLLOW:
            return twin or left
        other = self._history.get(twin.other)
        return left if other is not None and other.state in {State.HELD, State.FAILED} else twin


def _name(one: Source | Seen) -> str:
    """Return what an input is known by, whatever it holds."""
    return f"{one.root}\0/{one.path}\0/{one.url}"


def _is_foreign(task: Task, action: Action) -> bool:
    """Return whether something would be asked of another machine: by this one, or by a provider that is no part of it.

    What fal fetches is another matter: it is a fal of our own then.
    """
    is_plugged_in = task.provider not in PROVIDERS
    return action is Action.HEAL or is_plugged_in or (bool(task.source.url) and task.provider == LOCAL)
