"""What would happen to each task, why, and at what price: the steps of a run."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from heapq import merge

import msgspec

from batchup.errors import Fault
from batchup.history import State
from batchup.inputs import Skipped
from batchup.models import FAL
from batchup.models.formats import may_lose_transparency
from batchup.source import Source
from batchup.spool import Spool
from batchup.task import Task

BEYOND_LIMIT = "beyond --limit"
BEYOND_SAMPLE = "beyond --sample"
NOT_REHEARSED = "not rehearsed"
SPARED = "done before, and to be paid for again"
LOST = "lost"
LOOKED_FOR = "looked for once more; --resubmit-held submits it again"
HELD = "--resubmit-held submits it again"
EXPIRED = "result_expired"
"""Class of failure of what was paid and can be fetched no more: run again only when a person says so by name."""


class Action(StrEnum):
    """What the run does with a task."""

    RUN = "run"
    COPY = "copy"
    """An output that is there already gets another name, free."""
    FOLLOW = "follow"
    """Waits for another task of this run with the same contents, and is copied from it."""
    HEAL = "heal"
    """Paid for and finished: only its output is fetched again."""
    ATTACH = "attach"
    """Submitted by an earlier run: collected, not submitted again."""
    KEEP = "keep"
    """Done."""
    LEAVE = "leave"
    """Failed, held or lost: waits for a person."""
    LATER = "later"
    """Not chosen for this run; stays pending."""


TO_RUN = frozenset({Action.RUN, Action.HEAL, Action.COPY, Action.FOLLOW})


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task and what happens to it.

    Attributes:
        reason: Why, in words that are counted: ``new``, ``input changed``, ``done``, ...
        detail: What else there is to say.
        attempts: Submissions so far.
        other: Id of the task that this one is copied from.
        other_output: Path text of what is copied, where it is there already.
        sha256: Content hash of the input, if it was taken.
        content: Id of this work on these contents, likewise.
        known: Whether the ledger's last word on the output's name is this task's; otherwise it is named anew.
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
        resubmit_held: Submit held tasks again, though they may have been paid.
        restore: Replace outputs that somebody changed.
        only: Patterns of inputs; all others stay as they are.
        limit: Run no more than so many tasks.
        sample: Run no more than so many tasks, which differ as much as they can.
        rehearsal: Leave what somebody beyond this machine would be asked for: outputs to be fetched again, and URLs
            to be read.
        ready: Whether an input may be taken now; one that may not is left out as still being written.
        partial: Whether some inputs are not there now: what the manifest does not make then is no orphan.
        spares: Leave out inputs that are done and would be paid for again.
    """

    retry_failed: bool = False
    retry_kinds: frozenset[str] = frozenset()
    redo: tuple[str, ...] = ()
    resubmit_held: bool = False
    restore: bool = False
    only: tuple[str, ...] = ()
    limit: int | None = None
    sample: int | None = None
    rehearsal: bool = False
    ready: Callable[[Source], bool] | None = None
    partial: bool = False
    spares: bool = False


@dataclass
class Plan:
    """What a run would do.

    Attributes:
        steps: Of every task, in the order in which they would run.
        left_out: What makes no task.
        skipped: Number of those by reason.
        lost: Number of tasks that were paid and whose result can be fetched no more.
        urls: Number of tasks to run whose input is a URL.
        warnings: Input items that are there and gave nothing.
        actions: Number of tasks by action.
        left: Number of tasks that wait for a person, by state.
        looking: Names of the models whose providers are asked once more about tasks that are held.
        to_pay_usd: Price of all that would be run, as far as it is known.
        unpriced: Number of tasks to run whose price is unknown.
        transparent: Number of tasks for fal whose input may have transparency that the output cannot hold; fal's
            provider sends none that has.
        transparent_input: The first of these.
        again_usd: Price of those to run whose input was done before.
        models: Model -> tasks to run and their price.
        orphans: Ids of tasks that the manifest no longer makes and that are not yet marked so.
        orphaned: Number of all orphans.
        limited: Whether ``--limit`` or ``--sample`` left some for later.
        output_bytes: Rough size of what would be written.
        numbers: Action and model -> numbers of the steps, in order.
        news: Numbers of the steps whose tasks are to be named anew in the ledger.
    """

    steps: Spool[Step]
    left_out: Spool[Skipped]
    skipped: Counter[str]
    warnings: list[Fault] = field(default_factory=list)
    actions: Counter[Action] = field(default_factory=Counter)
    left: Counter[State] = field(default_factory=Counter)
    looking: set[str] = field(default_factory=set)
    to_pay_usd: Decimal = Decimal(0)
    unpriced: int = 0
    transparent: int = 0
    transparent_input: str = ""
    again_usd: Decimal = Decimal(0)
    again: int = 0
    models: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    orphans: list[str] = field(default_factory=list)
    orphaned: int = 0
    output_bytes: int = 0
    limited: bool = False
    urls: int = 0
    lost: int = 0
    numbers: dict[tuple[Action, str], "array[int]"] = field(default_factory=dict)
    news: "array[int]" = field(default_factory=lambda: array("Q"))

    def pick(self, action: Action, provider: str) -> Iterator[Step]:
        """Yield the steps of one action and provider, in order, whatever their models."""
        return self.steps.pick(merge(*(self.numbers.get((action, m), ()) for m in self.models_of(provider))))

    def places(self, action: Action) -> Iterator[int]:
        """Yield the numbers of the steps of one action, in order."""
        return iter(merge(*(numbers for (one, _), numbers in self.numbers.items() if one is action)))

    def pick_model(self, action: Action, model: str) -> Iterator[Step]:
        """Yield the steps of one action and model, in order."""
        return self.steps.pick(self.numbers.get((action, model), ()))

    def models_of(self, provider: str) -> list[str]:
        """Return the names of the provider's models that have any task, sorted."""
        return sorted({model for _, model in self.numbers if provider_of(model) == provider})

    @property
    def busy(self) -> set[str]:
        """Names of the models that have something to do."""
        busy = {model for action, model in self.numbers if action in TO_RUN or action is Action.ATTACH}
        return busy | self.looking

    @property
    def providers(self) -> set[str]:
        """Names of the providers that have something to do."""
        return {provider_of(model) for model in self.busy}

    @property
    def to_run(self) -> int:
        """Number of tasks that the run would do something for."""
        return sum(self.actions[action] for action in TO_RUN)

    def add(self, step: Step, state: State) -> None:
        """Take in one step."""
        self.numbers.setdefault((step.action, step.task.model), array("Q")).append(len(self.steps))
        if not step.known:
            self.news.append(len(self.steps))
        action = step.action
        self.steps.append(step)
        self.actions[action] += 1
        if action is Action.LEAVE and step.reason.startswith(LOST):
            self.lost += 1
        elif action is Action.LEAVE:
            self.left[state] += 1
            if state is State.HELD:
                self.looking.add(step.task.model)
        self.limited |= step.reason in {BEYOND_LIMIT, BEYOND_SAMPLE}
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
        is_sent = step.action is Action.RUN and provider_of(step.task.model) == FAL
        if is_sent and may_lose_transparency(step.task):
            self.transparent += 1
            self.transparent_input = self.transparent_input or step.task.source.label


def provider_of(model: str) -> str:
    """Return the part of a model's name before the slash."""
    return model.partition("/")[0]


def _output_bytes(task: Task) -> int:
    """Return a rough size of the output: as many bytes a pixel as the input has."""
    media = task.source.media
    if media is None or not media.width * media.height:
        return 0
    return task.source.size_bytes * task.width * task.height // (media.width * media.height)
