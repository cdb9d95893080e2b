"""Tasks and history → plan. Changes nothing, sends nothing."""

from collections.abc import Callable

from batchup import outputs
from batchup.asked import Asked
from batchup.batch import Batch
from batchup.catalogue import Catalogue
from batchup.contents import Contents
from batchup.decisions import Decisions
from batchup.history import History, Record, State
from batchup.inputs import Skipped
from batchup.keys import Index
from batchup.manifest import Manifest
from batchup.models import LOCAL, PROVIDERS
from batchup.occupied import Occupied
from batchup.order import ordered
from batchup.plan import (
    BEYOND_LIMIT,
    NOT_REHEARSED,
    SPARED,
    TO_RUN,
    Action,
    Choice,
    Plan,
    Step,
)
from batchup.sample import sampled
from batchup.spool import Spool
from batchup.task import ID_BYTES, Task
from batchup.twins import Decision, Twins

TICK_EVERY = 500
_LEADING = frozenset({Action.RUN, Action.ATTACH, Action.LEAVE})


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
        self._only = Asked("--only", choice.only)
        self._contents = contents
        self._occupied = Occupied(manifest, history, outputs.verify)
        self._twins = Twins(history, manifest.output_dir, resubmits_held=choice.resubmit_held)
        self._steps = Spool(Step)
        self._leaders = Index(ID_BYTES, "Q", first=True)
        self._decisions = Decisions(history, manifest, choice, self._twins, self._leader)
        self._running = 0

    def plan(self, tick: Callable[[int], None]) -> Plan:
        plan = Plan(self._steps, self._batch.left_out, self._batch.skipped)
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
        plan.warnings += [*self._decisions.unheard(), *self._only.missed()]
        return plan

    def _note_vanished(self) -> None:
        """Remember the inputs of tasks that are gone, to know a changed input or parameter from a new one."""
        for record in self._history.records.absent():
            seen = self._history.seen(record)
            if seen is not None:
                self._contents.gone.add(seen.size_bytes)
                self._decisions.note_vanished(seen, record)

    def _note_orphans(self, plan: Plan) -> None:
        for record in self._history.records.absent():
            plan.orphaned += 1
            if not record.orphaned:
                plan.orphans.append(record.key.hex())

    def _add(self, plan: Plan, task: Task) -> None:
        record = self._history.get(task.id)
        sha256, content = self._contents.of(task, record)
        decision = self._select(task, self._decisions.decide(task, record, content))
        writes = decision.action in TO_RUN or (decision.action is Action.ATTACH and decision.other)
        if writes and not self._may_write(task, record, decision):
            self._batch.skip(Skipped(task.source.label, "an output is there already", task.output))
            if record is not None:
                record.present = False
            return
        if content and decision.action in _LEADING:
            self._leaders.put(bytes.fromhex(content), len(self._steps))
        before = self._decisions.before(task) if record is None else None
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

    def _leader(self, content: str) -> Step | None:
        """Return the step of this plan that comes first with these contents."""
        number = self._leaders.get(bytes.fromhex(content))
        return None if number < 0 else self._steps[number]


def _is_foreign(task: Task, action: Action) -> bool:
    """Return whether something would be asked of another machine: by this one, or by a provider that is no part of it.

    What fal fetches is another matter: it is a fal of our own then.
    """
    is_plugged_in = task.provider not in PROVIDERS
    return action is Action.HEAL or is_plugged_in or (bool(task.source.url) and task.provider == LOCAL)
