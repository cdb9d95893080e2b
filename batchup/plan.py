"""Tasks and history → what would happen to each task, why, and at what price. Changes nothing, sends nothing."""

import os
import posixpath
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from batchup import digest, outputs
from batchup.batch import Batch
from batchup.errors import Fault, ManifestError, RejectedError
from batchup.history import IN_FLIGHT, History, Record, State
from batchup.inputs import Patterns, Skipped
from batchup.manifest import Manifest
from batchup.source import to_path
from batchup.spool import Spool
from batchup.task import Recipe, Task, canonical

MAX_FAULTS = 20
BEYOND_LIMIT = "beyond --limit"


class Action(StrEnum):
    """What the run does with a task."""

    RUN = "run"
    COPY = "copy"
    """An output that is there already gets another name, free."""
    FOLLOW = "follow"
    """Waits for another task of this run with the same contents, and is copied from it."""
    ATTACH = "attach"
    """Submitted by an earlier run: collected, not submitted again."""
    KEEP = "keep"
    """Done."""
    LEAVE = "leave"
    """Failed, held or lost: waits for a person."""
    LATER = "later"
    """Not chosen for this run; stays pending."""


TO_RUN = frozenset({Action.RUN, Action.COPY, Action.FOLLOW})
_LEADING = frozenset({Action.RUN, Action.ATTACH, Action.LEAVE})


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task and what happens to it.

    Attributes:
        reason: Why, in words that are counted: ``new``, ``input changed``, ``done``, ...
        detail: What else there is to say.
        attempts: Submissions so far.
        other: Id of the task that this one is copied from.
        other_output: Path text of that one's output, where it is there already.
        sha256: Content hash of the input, if it was taken.
        content: Id of this work on these contents, likewise.
        known: Whether the ledger has the task already, under this name, and does not count it as orphaned.
        was_done: Whether an earlier version of this input is done, so that it would be done again.
    """

    task: Task
    action: Action
    reason: str
    detail: str = ""
    attempts: int = 0
    other: str = ""
    other_output: str = ""
    sha256: str = ""
    content: str = ""
    known: bool = False
    was_done: bool = False

    @property
    def cost_usd(self) -> Decimal | None:
        """What the step would cost; None where that is unknown beforehand."""
        return self.task.cost_usd if self.action is Action.RUN else Decimal(0)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person asks of one run beside its manifest.

    Attributes:
        retry_failed: Run failed tasks again, those of *retry_kinds* only if there are any.
        redo: Patterns of inputs whose done tasks are run again.
        restore: Replace outputs that somebody changed.
        only: Patterns of inputs; all others stay as they are.
        limit: Run no more than so many tasks.
    """

    retry_failed: bool = False
    retry_kinds: frozenset[str] = frozenset()
    redo: tuple[str, ...] = ()
    restore: bool = False
    only: tuple[str, ...] = ()
    limit: int | None = None


@dataclass
class Plan:
    """What a run would do.

    Attributes:
        steps: Of every task, in the order in which they would run.
        left_out: What makes no task.
        skipped: Number of those by reason.
        urls: Number of tasks to run whose input is a URL.
        warnings: Input items that are there and gave nothing.
        actions: Number of tasks by action.
        left: Number of tasks that wait for a person, by state.
        to_pay_usd: Price of all that would be run, as far as it is known.
        unpriced: Number of tasks to run whose price is unknown.
        again_usd: Price of those to run whose input was done before.
        models: Model -> tasks to run and their price.
        orphans: Ids of tasks that the manifest no longer makes and that are not yet marked so.
        orphaned: Number of all orphans.
        limited: Whether ``--limit`` left some for later.
        output_bytes: Rough size of what would be written.
        numbers: Action and provider -> numbers of the steps.
    """

    steps: Spool[Step]
    left_out: Spool[Skipped]
    skipped: Counter[str]
    warnings: list[Fault] = field(default_factory=list)
    actions: Counter[Action] = field(default_factory=Counter)
    left: Counter[State] = field(default_factory=Counter)
    to_pay_usd: Decimal = Decimal(0)
    unpriced: int = 0
    again_usd: Decimal = Decimal(0)
    again: int = 0
    models: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    orphans: list[str] = field(default_factory=list)
    orphaned: int = 0
    output_bytes: int = 0
    limited: bool = False
    urls: int = 0
    numbers: dict[tuple[Action, str], "array[int]"] = field(default_factory=dict)

    def pick(self, action: Action, provider: str) -> Iterator[Step]:
        """Yield the steps of one action and provider, in order."""
        return self.steps.pick(self.numbers.get((action, provider), ()))

    @property
    def providers(self) -> set[str]:
        """Names of the providers that have something to do."""
        return {provider for action, provider in self.numbers if action in TO_RUN or action is Action.ATTACH}

    @property
    def to_run(self) -> int:
        """Number of tasks that the run would do something for."""
        return sum(self.actions[action] for action in TO_RUN)

    def add(self, step: Step, state: State) -> None:
        """Take in one step."""
        self.numbers.setdefault((step.action, step.task.provider), array("Q")).append(len(self.steps))
        action = step.action
        self.steps.append(step)
        self.actions[action] += 1
        if action is Action.LEAVE:
            self.left[state] += 1
        self.limited |= step.reason == BEYOND_LIMIT
        if step.action not in TO_RUN:
            return
        count, total = self.models.get(step.task.model, (0, Decimal(0)))
        self.models[step.task.model] = (count + 1, total + (step.cost_usd or 0))
        self.to_pay_usd += step.cost_usd or 0
        self.urls += bool(step.task.source.url)
        self.output_bytes += _output_bytes(step.task)
        self.unpriced += step.cost_usd is None
        if step.was_done and step.action is Action.RUN:
            self.again += 1
            self.again_usd += step.cost_usd or 0


class _Decision(NamedTuple):
    action: Action
    reason: str
    detail: str = ""
    other: str = ""
    other_output: str = ""


def make(
    batch: Batch,
    history: History,
    manifest: Manifest,
    choice: Choice | None = None,
    verify: Callable[[Path], object] = outputs.verify,
) -> Plan:
    """Return what a run would do now.

    Args:
        batch: Every task of the manifest.
        history: Of its ledger. Its records are marked as present.
        manifest: For the output's settings.
        choice: What was asked of the run.
        verify: Raises RejectedError if a file does not decode.

    Raises:
        ManifestError: A file that this ledger does not know stands where an output would, and it is broken or
            ``output.exists`` is ``error``.
    """
    planner = _Planner(batch, history, manifest, choice or Choice(), verify)
    return planner.plan()


class _Planner:
    def __init__(
        self,
        batch: Batch,
        history: History,
        manifest: Manifest,
        choice: Choice,
        verify: Callable[[Path], object],
    ) -> None:
        self._batch, self._history, self._manifest, self._choice = batch, history, manifest, choice
        self._verify = verify
        self._out = manifest.output_dir
        self._faults: list[Fault] = []
        self._recipes: dict[tuple[str, bytes], Recipe] = {}
        self._leaders: dict[bytes, int] = {}
        self._hashed: tuple[object, str] = (None, "")
        self._redo = Patterns(self._choice.redo)
        self._only = Patterns(self._choice.only)
        self._vanished: dict[int, int] = {}
        self._vanished_sizes: set[int] = set()
        self._folders: dict[str, bool] = {}
        self._running = 0

    def plan(self) -> Plan:
        plan = Plan(Spool(Step), self._batch.left_out, self._batch.skipped)
        for task in self._batch.tasks:
            record = self._history.get(task.id)
            if record is not None:
                record.present = True
        self._note_vanished(plan)
        for number in _order(self._batch.tasks, self._manifest.run.order):
            self._add(plan, self._batch.tasks[number])
        if self._faults:
            raise ManifestError(self._faults)
        return plan

    def _note_vanished(self, plan: Plan) -> None:
        """Remember the inputs of tasks that are gone, to know a changed input or parameter from a new one."""
        for key, record in self._history.records.items():
            if not record.present:
                plan.orphaned += 1
                if not record.orphaned:
                    plan.orphans.append(key.hex())
                seen = self._history.seen(record)
                if seen is not None:
                    self._vanished_sizes.add(seen.size_bytes)
                    self._vanished[hash((seen.root, seen.path, seen.url))] = record.seen

    def _add(self, plan: Plan, task: Task) -> None:
        record = self._history.get(task.id)
        foreign = self._foreign(task, record)
        if foreign:
            self._batch.skip(Skipped(task.source.label, "an output is there already", foreign))
            return
        sha256, content = self._contents(task, record)
        decision = self._select(task, self._decide(plan, task, record, content))
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
            known=record is not None and not record.orphaned and hash(task.output) in self._history.outputs,
            was_done=(record is not None and record.state is State.DONE) or (before or ("", False))[1],
        )
        plan.add(step, record.state if record else State.PENDING)

    def _select(self, task: Task, decision: _Decision) -> _Decision:
        """Leave for later what was not asked for, or is beyond the limit."""
        if decision.action not in TO_RUN:
            return decision
        if self._choice.only and not self._only.match(task.source.path):
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
        if state is State.HELD:
            return _Decision(Action.LEAVE, "held")
        if record is not None and state is State.FAILED:
            if not self._retries(record):
                return _Decision(Action.LEAVE, f"failed before: {record.failure}")
            reason = f"failed before: {record.failure}; tried again"
        else:
            reason = self._why_new(task, record)
        return self._twin(plan, content, task) or _Decision(Action.RUN, reason)

    def _retries(self, record: Record) -> bool:
        kinds = self._choice.retry_kinds
        return self._choice.retry_failed and (not kinds or record.failure in kinds)

    def _decide_done(self, task: Task, record: Record) -> _Decision:
        if self._redo.match(task.source.path):
            return _Decision(Action.RUN, "asked for by --redo")
        done = self._history.done(record)
        assert done is not None
        finding = outputs.inspect(self._out / to_path(done.output), done, self._verify)
        if finding == "changed" and not self._choice.restore:
            return _Decision(Action.KEEP, "done", "the output was changed by somebody; --restore replaces it")
        if finding == "missing" and self._manifest.output.missing == "leave":
            return _Decision(Action.KEEP, "done", "the output was deleted by somebody")
        if finding != "intact":
            return _Decision(Action.RUN, f"output {finding}")
        if done.output != task.output:
            return _Decision(Action.COPY, "renamed", done.output, task.id, done.output)
        return _Decision(Action.KEEP, "done")

    def _why_new(self, task: Task, record: Record | None) -> str:
        if record is not None:
            return "pending"
        before = self._before(task)
        return before[0] if before else "new"

    def _before(self, task: Task) -> tuple[str, bool] | None:
        """Return what changed since a task of the same input that is gone, and whether that was done."""
        source = task.source
        offset = self._vanished.get(hash((source.root, source.path, source.url)))
        if offset is None:
            return None
        seen = self._history.read_seen(offset)
        if seen is None or (seen.root, seen.path, seen.url) != (source.root, source.path, source.url):
            return None
        old = self._history.get(seen.id)
        same_file = (seen.size_bytes, seen.mtime_ns) == (source.size_bytes, source.mtime_ns)
        return (
            "parameters changed" if same_file else "input changed",
            old is not None and old.state is State.DONE,
        )

    def _twin(self, plan: Plan, content: str, task: Task) -> _Decision | None:
        """Return the decision for a task whose work on whose contents another task does or did."""
        if not content:
            return None
        number = self._leaders.get(bytes.fromhex(content))
        if number is not None:
            leader = plan.steps[number].task
            return _Decision(Action.FOLLOW, "same contents as another", leader.source.label, leader.id)
        twin = self._history.twin(content)
        record = self._history.get(twin) if twin and twin != task.id else None
        if record is None or twin is None:
            return None
        if record.state in IN_FLIGHT or record.state is State.HELD:
            return _Decision(Action.FOLLOW, "same contents as another", self._label(record), twin)
        done = self._history.done(record)
        if done and outputs.inspect(self._out / to_path(done.output), done, self._verify) == "intact":
            return _Decision(Action.COPY, "same contents as another", done.output, twin, done.output)
        return None

    def _label(self, record: Record) -> str:
        seen = self._history.seen(record)
        return (seen.url or f"{seen.root}/{seen.path}") if seen else "another"

    def _contents(self, task: Task, record: Record | None) -> tuple[str, str]:
        """Return content hash and content id, ("", "") where no other file can have these contents."""
        source = task.source
        if source.url or (record is not None and record.state is State.DONE):
            return "", ""
        size = source.size_bytes
        # Once is the file itself.
        if self._batch.sizes[size] <= 1 and size not in self._vanished_sizes:
            return "", ""
        sha256 = self._known_hash(record) or self._hash(task)
        if not sha256:
            return "", ""
        return sha256, self._recipe(task).content_id(sha256)

    def _known_hash(self, record: Record | None) -> str:
        seen = self._history.seen(record) if record else None
        return seen.sha256 if seen else ""

    def _hash(self, task: Task) -> str:
        # The tasks of one source follow one another, so that one remembered hash serves a whole matrix.
        if self._hashed[0] != task.source:
            try:
                self._hashed = (task.source, digest.sha256(task.source.name))
            except OSError:
                self._hashed = (task.source, "")  # its own attempt will say what is wrong with it
        return self._hashed[1]

    def _recipe(self, task: Task) -> Recipe:
        key = (task.model, canonical(task.changed))
        if key not in self._recipes:
            self._recipes[key] = Recipe(task.model, task.changed)
        return self._recipes[key]

    def _foreign(self, task: Task, record: Record | None) -> str | None:
        """Return what to say of a file that stands at the output's name and is not ours; None if there is none."""
        if record is not None and record.state is State.DONE:
            return None
        # A name that the ledger knows is ours, even if the run that wrote it was killed before it could say so.
        exists = self._manifest.output.exists
        if exists == "overwrite" or hash(task.output) in self._history.outputs:
            return None
        if not self._exists(task.output):
            return None
        file = self._out / to_path(task.output)
        if exists == "error":
            self._fault(f"{task.output} exists, and output.exists is error")
            return task.output
        try:
            self._verify(file)
        except RejectedError as error:
            self._fault(
                f"{task.output} exists, is not from this job, and is broken ({error}); "
                "remove it, or write output.exists: overwrite"
            )
        return task.output

    def _exists(self, output: str) -> bool:
        """Return whether a file is there. Folders that are not there are asked for once."""
        folder = posixpath.dirname(output)
        if folder not in self._folders:
            self._folders[folder] = os.path.isdir(f"{self._out}/{to_path(folder)}")  # noqa: PTH112 - a million times
        return self._folders[folder] and os.path.lexists(f"{self._out}/{to_path(output)}")

    def _fault(self, message: str) -> None:
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(self._manifest.fault(("output", "exists"), message))


def _output_bytes(task: Task) -> int:
    """Return a rough size of the output: as many bytes a pixel as the input has."""
    media = task.source.media
    if media is None or not media.width * media.height:
        return 0
    return task.source.size_bytes * task.width * task.height // (media.width * media.height)


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
