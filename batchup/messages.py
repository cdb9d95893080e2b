"""Messages: tells the addresses of ``notify:`` how a run went, after the fact, and never disturbs it."""

import shlex
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio
from anyio.abc import TaskGroup

from batchup.courier import Message, Tone, masked, send
from batchup.events import Done, Event, Failed, Held
from batchup.history import History
from batchup.manifest import Manifest
from batchup.manifest.quantities import format_duration, format_usd
from batchup.plan import Action, Plan
from batchup.summary import Summary
from batchup.terminal import count, escape, program

MANY = 20
"""More failures than these in one run are told while it goes on. As many in a row of one model pause that model by
default, which is told at the end; these are failures here and there."""

LIMIT_S = 15.0
"""How long one address may take, its own time-outs (4 s to connect, 4 s for an answer) and all its requests included."""

_STOPPED = {
    "budget": ("stopped by the budget", "raise run.budget, or: {run} --budget AMOUNT"),
    "window": ("stopped by its window", "when the window opens: {run}"),
    "limit": ("stopped by --limit", "for the rest: {run}"),
    "failures": ("stopped by too many failures in a row", "see what failed, then: {run}"),
    "account": ("the account refuses work", "look at the key and the balance, then: {run}"),
    "disk": ("the disk refuses", "free some space, then: {run}"),
}
"""Why a run ended early -> what that is called, and what to do next."""


def ending(manifest: Manifest, summary: Summary, fatal: str = "") -> Message:
    """Return what is said of a run that has ended.

    Args:
        manifest: Of the job.
        summary: At the end.
        fatal: What made further work useless.
    """
    tasks = summary.tasks
    run = f"{program()} run {shlex.quote(str(manifest.file))}"
    words, advice = _STOPPED.get(summary.stopped or "", ("finished", ""))
    troubles = [f"{n:,} {word}" for n, word in ((tasks.failed, "failed"), (tasks.held, "held")) if n]
    if not summary.stopped:
        words = ", ".join([words, *(troubles or [f"{count(tasks.done, 'task')} done"])])
    lines = [*_lines(summary), *([escape(fatal)] if fatal else [])]
    if advice:
        lines.append(f"Next: {advice.format(run=run)}")
    if tasks.failed:
        lines.append(f"To try what failed again: {run} --retry-failed")
    if tasks.held:
        lines.append(
            f"What is held may have been paid; {program()} plan {shlex.quote(str(manifest.file))} shows it"
        )
    tone: Tone = "warning" if summary.stopped or troubles else "success"
    if summary.stopped in {"account", "disk"}:
        tone = "failure"
    return Message(f"{summary.job}: {words}", "\n".join(lines), tone)


def _lines(summary: Summary) -> Iterator[str]:
    cost = summary.cost_usd
    yield f"{summary.tasks.words('skipped')}, after {format_duration(summary.elapsed_s)}"
    if summary.failures:
        yield "Failures: " + ", ".join(
            f"{number:,} {escape(kind)}" for kind, number in summary.failures.items()
        )
    if cost.charged or cost.reserved or cost.estimated or cost.budget is not None:
        budget = None if cost.budget is None else Decimal(str(cost.budget))
        yield _cost(Decimal(str(cost.charged)), Decimal(str(cost.reserved)), budget)


def _cost(charged_usd: Decimal, reserved_usd: Decimal, budget_usd: Decimal | None) -> str:
    text = f"Cost: {format_usd(charged_usd)}"
    if reserved_usd:
        text += f", {format_usd(reserved_usd)} reserved"
    return text if budget_usd is None else f"{text}, of a budget of {format_usd(budget_usd)}"


class Messages:
    """Hears of a run, and sends what there is to say in threads of their own; see :func:`open_messages`."""

    def __init__(
        self, manifest: Manifest, tell: Callable[[str], None], group: TaskGroup, limit_s: float
    ) -> None:
        self._manifest, self._tell, self._group, self._limit_s = manifest, tell, group, limit_s
        self._history = History()
        self._total = self._done = self._failed = self._ended = 0

    def begin(self, plan: Plan, history: History) -> None:
        """Take in what the run begins with."""
        self._history = history
        self._total, self._done = len(plan.steps), plan.actions[Action.KEEP]

    def heard(self, event: Event) -> None:
        """Take in an event that has become durable."""
        if not isinstance(event, Done | Failed | Held):
            return
        self._ended += 1
        self._done += isinstance(event, Done)
        self._failed += isinstance(event, Failed)
        if isinstance(event, Failed) and self._failed == MANY + 1:
            self._send(self._failing())

    def ended(self, summary: Summary, fatal: str = "") -> None:
        """Announce the end of the run, but not to whoever ended it, nor where nothing was to be done."""
        if _is_news(summary, self._ended):
            self.announce(summary, fatal)

    def announce(self, summary: Summary, fatal: str = "") -> None:
        """Announce how a run has ended."""
        self._send(ending(self._manifest, summary, fatal))

    def _failing(self) -> Message:
        money = self._history.money
        name, file = self._manifest.name, shlex.quote(str(self._manifest.file))
        lines = [
            f"{self._done:,} of {count(self._total, 'task')} done; {self._failed:,} failed in this run, which goes on",
            _cost(money.charged, money.reserved, self._history.budget_usd),
            f"Next: {program()} status {file} tells what fails; to stop the run, Ctrl-C or SIGTERM",
        ]
        return Message(f"{name}: more than {MANY} failures", "\n".join(lines), "warning")

    def _send(self, message: Message) -> None:
        for number, address in enumerate(self._manifest.notify):
            self._group.start_soon(self._deliver, number, address, message)

    async def _deliver(self, number: int, address: str, message: Message) -> None:
        why = await send(address, message, self._limit_s)
        if why:
            self._tell(
                f"the message to notify.{number} ({masked(address)}) was not sent: {why}; the run is not concerned"
            )


def _is_news(summary: Summary, tasks: int) -> bool:
    return summary.stopped != "interrupted" and bool(summary.stopped or tasks)


async def announce(
    manifest: Manifest, summary: Summary, fatal: str, tasks: int, tell: Callable[[str], None]
) -> None:
    """Announce the end of a run that has not announced it itself; by the same rules.

    Args:
        manifest: Of the job.
        summary: At the end.
        fatal: What made further work useless.
        tasks: How many there were to be run.
        tell: See :func:`open_messages`.
    """
    async with open_messages(manifest, tell) as messages:
        if _is_news(summary, tasks):
            messages.announce(summary, fatal)


@asynccontextmanager
async def open_messages(
    manifest: Manifest, tell: Callable[[str], None], limit_s: float = LIMIT_S
) -> AsyncIterator[Messages]:
    """Send what a manifest's addresses are to be told while the block lasts; its end waits for what is under way.

    Args:
        manifest: Its addresses are good, see :func:`faults`.
        tell: Called with a sentence for each message that was not sent.
        limit_s: How long one may take, in seconds.
    """
    async with anyio.create_task_group() as group:
        yield Messages(manifest, tell, group, limit_s)
