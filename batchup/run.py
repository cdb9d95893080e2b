"""The composition root: the one place that knows every piece."""

import os
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio
import msgspec
from anyio import to_thread

from batchup import events, outputs
from batchup.attempt import Attempts
from batchup.budget import Budget
from batchup.catalogue import Catalogue
from batchup.clock import Clock, SystemClock
from batchup.errors import BatchupError, FatalError
from batchup.examiner import Examiner
from batchup.history import History
from batchup.lane import Lane
from batchup.ledger import index, open_ledger
from batchup.limits import Slots
from batchup.manifest import Manifest
from batchup.patience import Patience
from batchup.plan import Action, Choice, Plan, Step
from batchup.providers.local.memory import machine_memory_bytes
from batchup.providers.local.pool import open_pool
from batchup.provision import LOCAL, Tools, open_provider
from batchup.quote import Quote, total_usd
from batchup.recorder import Recorder
from batchup.retry import RetryPolicy
from batchup.shutdown import Shutdown, open_signals
from batchup.source import Source, to_path
from batchup.submission import Submissions
from batchup.summary import Summary, summarise
from batchup.version import __version__
from batchup.workplace import Place, Watcher, Workplace

if TYPE_CHECKING:
    from batchup.transport import Transport

REMOTE_SLOTS = 8
UPLOADS = 8
DOWNLOADS = 8
"""Transfers at once: enough to keep the slots busy, few enough to leave the line to others."""


class Reporter(Watcher, Protocol):
    """Who shows a run to a person. Each method returns at once."""

    def finding(self, inputs: int) -> None:
        """So many inputs have been found so far."""

    def shown(self) -> AbstractAsyncContextManager[None]:
        """Keep what is shown up to date while the block lasts."""

    def begin(self, plan: Plan, history: History) -> None:
        """The run begins."""

    def heard(self, event: events.Event) -> None:
        """An event is durable."""

    def stopping(self, shutdown: Shutdown) -> None:
        """The run was asked to end."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of one run beside its manifest.

    Attributes:
        concurrency: Tasks at a time, instead of the manifest's.
        budget_usd: Cap in USD, instead of the manifest's.
        confirm: Is shown the plan before anything is run, and the history; nothing is if it answers False.
        environment: Holds accounts' keys, and where their platforms are.
        stands_for: What is planned, where the run is a rehearsal: the manifest is the same then, with its outputs and
            its ledger elsewhere.
    """

    choice: Choice = field(default_factory=Choice)
    concurrency: int | None = None
    budget_usd: Decimal | None = None
    confirm: Callable[[Plan, History], bool] = lambda _plan, _history: True
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    stands_for: Manifest | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        summary: None where the person said no.
        plan: What was meant to happen.
        signum: The signal that ended it.
        fatal: What made further work useless, to be said to a person.
    """

    plan: Plan
    summary: Summary | None = None
    signum: int | None = None
    fatal: str = ""


async def run(
    manifest: Manifest, options: Options, reporter: Reporter, clock: Clock | None = None
) -> Outcome:
    """Run a manifest: expand, resume, execute. May be called again at any time, and goes on where it stopped.

    Raises:
        ManifestError: Something is wrong that is known before the first task; nothing was written.
        LedgerError: The ledger is in use, damaged or some other file.
        FatalError: The ledger's disk refuses.
    """
    try:
        async with reporter.shown():
            return await _run(manifest, options, reporter, clock or SystemClock())
    except BaseExceptionGroup as group:
        # Every block above may have wrapped what is one error.
        raise _only(group) from None


async def _run(manifest: Manifest, options: Options, reporter: Reporter, clock: Clock) -> Outcome:
    shutdown = Shutdown(reporter.stopping)
    async with open_signals(shutdown):
        return await _planned(manifest, options, reporter, clock, shutdown)


async def _planned(
    manifest: Manifest, options: Options, reporter: Reporter, clock: Clock, shutdown: Shutdown
) -> Outcome:
    path = manifest.ledger_path
    planned = options.stands_for or manifest
    quote = Quote(planned, options.choice, reporter.finding, clock, shutdown, options.environment)
    plan = None
    if not path.exists():
        # Before anything is created: what is wrong with a new job leaves no trace.
        plan = await quote.plan(History())
    async with open_ledger(path) as ledger:
        history = await to_thread.run_sync(lambda: History(ledger.read_line).fold(ledger.replay()))
        if plan is None or history.runs:
            plan = await quote.plan(history)
        plan, catalogue = await quote.today(plan, history)
        if not options.confirm(plan, history):
            return Outcome(plan)
        one = _Run(
            manifest,
            options,
            reporter,
            clock,
            history,
            plan,
            recorder=Recorder(ledger, history, [reporter.heard]),
            shutdown=shutdown,
            budget=Budget(options.budget_usd or manifest.run.budget_usd, history),
            catalogue=catalogue,
            agreed_usd=max(history.agreed_usd, total_usd(plan, history)),
        )
        return await one.execute()


@dataclass
class _Run:
    """One run with everything it needs."""

    manifest: Manifest
    options: Options
    reporter: Reporter
    clock: Clock
    history: History
    plan: Plan
    recorder: Recorder
    shutdown: Shutdown
    budget: Budget
    catalogue: Catalogue
    agreed_usd: Decimal
    fatal: FatalError | None = None

    async def execute(self) -> Outcome:
        """Run the plan to its end, or to where something stops it."""
        started_s = self.clock.now_s()
        await self._guarded(self._all)
        elapsed_s = round(self.clock.now_s() - started_s, 1)
        await self._guarded(
            lambda: self.recorder.record(
                events.Stopped(why=self._why(), elapsed_s=elapsed_s, at=self.clock.utc())
            )
        )
        summary = await to_thread.run_sync(summarise, self.history)
        return Outcome(
            plan=self.plan,
            summary=msgspec.structs.replace(summary, stopped=self._why(), elapsed_s=elapsed_s),
            signum=self.shutdown.signum,
            fatal=str(self.fatal or ""),
        )

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Let what makes further work useless end the run, not the report of it."""
        try:
            await work()
        except FatalError as error:
            self.stop(error)
        except BaseExceptionGroup as group:
            one = _only(group)
            if not isinstance(one, FatalError):
                raise
            self.stop(one)

    async def _all(self) -> None:
        await self.recorder.record_all(self._opening())
        if self.options.stands_for is None:
            index.remember(self.manifest.file, self.manifest.name, self.manifest.ledger_path)
        await to_thread.run_sync(self._clear)
        self.reporter.begin(self.plan, self.history)
        await self._work()

    def _clear(self) -> None:
        """Remove what killed runs left of tasks that are no more."""
        for task_id in self.plan.orphans:
            record = self.history.get(task_id)
            seen = self.history.seen(record) if record else None
            if seen is not None:
                output = self.manifest.output_dir / to_path(seen.output)
                outputs.discard(outputs.part_path(output, task_id))

    def stop(self, error: FatalError) -> None:
        """Start nothing more, because of *error*."""
        self.fatal = self.fatal or error
        self.shutdown.drain()

    def _why(self) -> str | None:
        if self.fatal is not None:
            return self.fatal.stopped
        if self.shutdown.draining:
            return "interrupted"
        if self.budget.refused:
            return "budget"
        return "limit" if self.plan.limited else None

    def _opening(self) -> Iterator[events.Event]:
        """Yield the run, every task that the ledger does not know, and every task that is gone."""
        now = self.clock.utc()
        yield events.Run(
            format=events.FORMAT,
            job=self.manifest.name,
            manifest=self.manifest.sha256,
            version=__version__,
            host=platform.node(),
            pid=os.getpid(),
            skipped=dict(self.plan.skipped),
            budget_usd=self.budget.cap_usd,
            agreed_usd=self.agreed_usd,
            at=now,
        )
        for step in self.plan.steps:
            if not step.known:
                yield _seen(step, self.clock)
        for task_id in self.plan.orphans:
            yield events.Orphaned(id=task_id, at=now)

    async def _work(self) -> None:
        """Run every provider's lane, until all end or the run is to be left at once."""
        async with anyio.create_task_group() as group:

            async def leave() -> None:
                await self.shutdown.wait_detaching()
                group.cancel_scope.cancel()

            group.start_soon(leave)
            async with AsyncExitStack() as stack:
                transport = await stack.enter_async_context(self._open_transport())
                pool = await stack.enter_async_context(open_pool(_cores(), self._memory_bytes()))
                tools = Tools(
                    self.manifest,
                    self.catalogue,
                    self.clock,
                    pool,
                    transport,
                    self.history,
                    self.options.environment,
                )
                lanes = [await self._lane(name, tools, stack) for name in sorted(self.plan.providers)]
                async with anyio.create_task_group() as running:
                    for lane in lanes:
                        running.start_soon(lane.run)
            group.cancel_scope.cancel()

    @asynccontextmanager
    async def _open_transport(self) -> AsyncIterator["Transport | None"]:
        """Open the network, if it is needed."""
        if not self.plan.urls and not self.plan.providers - {LOCAL}:
            yield None
            return
        from batchup.transport import open_transport  # aiohttp: a fifth of a start that needs none

        times = self.manifest.timeouts
        async with open_transport(connect_s=times.connect_s, stall_s=times.stall_s) as transport:
            yield transport

    def _memory_bytes(self) -> int:
        return self.manifest.run.memory_bytes or machine_memory_bytes() // 2

    async def _lane(self, name: str, tools: Tools, stack: AsyncExitStack) -> Lane:
        provider = await stack.enter_async_context(open_provider(name, tools))
        slots = self.options.concurrency or self.manifest.run.concurrency
        slots = slots or (_cores() if name == LOCAL else REMOTE_SLOTS)
        retry, fal = self.manifest.retry, self.manifest.fal
        patience = Patience(
            self.recorder.record,
            RetryPolicy(retry.attempts, retry.initial_s, retry.max_s, retry.multiplier),
            self.clock,
            self.shutdown,
            frozenset({"complete", "find"} if provider.durable else ()),
        )
        submissions = Submissions(
            provider,
            patience,
            self.history.get,
            Slots(slots, self.clock),
            self.budget,
            task_s=self.manifest.timeouts.task_s,
            settle_s=fal.settle_s,
            resubmit_below_usd=fal.resubmit_below_usd,
        )
        after = anyio.Semaphore(slots if name == LOCAL else DOWNLOADS, fast_acquire=True)
        attempts = Attempts(
            provider=provider,
            submissions=submissions,
            workplace=Workplace(provider, patience, self._place(tools), self.reporter, after),
            record=self.recorder.record,
            clock=self.clock,
            ahead=anyio.Semaphore(slots if name == LOCAL else UPLOADS, fast_acquire=True),
            stop=self.stop,
        )
        # Uploads run ahead of the paid slots, and downloads after them.
        workers = slots if name == LOCAL else slots + UPLOADS + DOWNLOADS
        return Lane(name, self.plan, self.history, attempts, workers, self.budget, self.shutdown)

    def _place(self, tools: Tools) -> Place:
        async def download(source: Source, file: Path) -> None:
            assert tools.transport is not None
            await tools.transport.download(source.url, file, allow_private=source.allow_private)

        keep_metadata = self.manifest.output.metadata == "keep"
        examiner = Examiner(tools.pool, self._memory_bytes())
        return Place(self.manifest.output_dir, keep_metadata, examiner.examine, download)


def _seen(step: Step, clock: Clock) -> events.Seen:
    task, source = step.task, step.task.source
    return events.Seen(
        id=task.id,
        root=source.root,
        path=source.path if not source.url else "",
        url=source.url,
        size_bytes=source.size_bytes,
        mtime_ns=source.mtime_ns,
        kind=source.media.kind if source.media else "",
        model=task.model,
        params=task.changed,
        output=task.output,
        width=task.width,
        height=task.height,
        estimated_usd=Decimal(0) if step.action in {Action.COPY, Action.FOLLOW} else task.cost_usd,
        sha256=step.sha256,
        content=step.content,
        at=clock.utc(),
    )


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one error in nested groups, the first of several of ours, or the group itself."""
    errors: list[BaseException] = [group]
    while any(isinstance(error, BaseExceptionGroup) for error in errors):
        errors = [one for error in errors for one in getattr(error, "exceptions", (error,))]
    ours = all(isinstance(error, BatchupError) for error in errors)
    return errors[0] if ours or len(errors) == 1 else group


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
