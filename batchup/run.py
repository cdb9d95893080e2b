"""The composition root: the one place that knows every piece."""

import os
import platform
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

import anyio
import msgspec
from anyio import to_thread

from batchup import events, outputs
from batchup.awake import kept_awake
from batchup.backlog import Gate, Notices
from batchup.bell import Bell
from batchup.budget import Budget
from batchup.catalogue import Catalogue
from batchup.circuits import Circuits
from batchup.clock import Clock, SystemClock
from batchup.control import open_control
from batchup.errors import FatalError, only
from batchup.history import History, State
from batchup.lanes import Means, open_lanes
from batchup.ledger import index, open_ledger
from batchup.manifest import Manifest
from batchup.messages import Messages, open_messages
from batchup.plan import Action, Choice, Plan, Step
from batchup.quote import Quote, total_usd
from batchup.recorder import Recorder
from batchup.scribe import Scribe
from batchup.shutdown import Shutdown, open_signals
from batchup.source import to_path
from batchup.steering import InFlight, Steering
from batchup.summary import Summary, summarise
from batchup.throttle import Throttle
from batchup.version import __version__
from batchup.window import Window
from batchup.workplace import Watcher


class Reporter(Watcher, Notices, Protocol):
    """Who shows a run to a person. Each method returns at once."""

    def finding(self, inputs: int) -> None:
        """So many inputs have been found so far."""

    def shown(self) -> AbstractAsyncContextManager[None]:
        """Keep what is shown up to date while the block lasts."""

    def begin(self, plan: Plan, history: History) -> None:
        """The run begins."""

    def heard(self, event: events.Event) -> None:
        """An event is durable."""

    def say(self, text: str) -> None:
        """Something that is good to know."""

    def tell(self, text: str) -> None:
        """Something that a person wants to know."""

    def log(self, text: str) -> None:
        """Something that only who asks for more wants to know."""

    def stopping(self, shutdown: Shutdown) -> None:
        """The run was asked to end."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of one run beside its manifest.

    Attributes:
        concurrency: Tasks at a time, instead of the manifest's.
        budget_usd: Cap in USD, instead of the manifest's.
        ignore_window: Whether work may start at any time.
        no_wait: Whether the run ends when its window closes, instead of sleeping till the next opening.
        confirm: Is shown the plan before anything is run, and the history; nothing is if it answers False.
        ended: Is shown how the run ended, before that is announced to anybody.
        environment: Holds accounts' keys, and where their platforms are.
        cluster: Address of a cluster's scheduler, instead of the manifest's; none is used for a rehearsal.
        stands_for: What is planned, where the run is a rehearsal: the manifest is the same then, with its outputs and
            its ledger elsewhere.
    """

    choice: Choice = field(default_factory=Choice)
    concurrency: int | None = None
    budget_usd: Decimal | None = None
    ignore_window: bool = False
    no_wait: bool = False
    confirm: Callable[[Plan, History], bool] = lambda _plan, _history: True
    ended: Callable[["Outcome"], None] = lambda _outcome: None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cluster: str = ""
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
    clock = clock or SystemClock()
    bell = Bell(clock)

    def changed(shutdown: Shutdown) -> None:
        bell.ring()
        reporter.stopping(shutdown)

    shutdown = Shutdown(changed)
    try:
        # What has to be announced is sent after the end: a signal does not cut it, and its time limit is short.
        async with open_signals(shutdown), open_messages(manifest, reporter.tell) as messages:
            async with reporter.shown():
                outcome = await _Session(manifest, options, reporter, clock, bell, shutdown, messages).run()
            options.ended(outcome)
            if outcome.summary is not None:
                messages.ended(outcome.summary, outcome.fatal)
            return outcome
    except BaseExceptionGroup as group:
        # Every block above may have wrapped what is one error.
        raise only(group) from None


@dataclass(frozen=True, slots=True)
class _Session:
    """What a run has from its beginning: what is asked, and who hears of it."""

    manifest: Manifest
    options: Options
    reporter: Reporter
    clock: Clock
    bell: Bell
    shutdown: Shutdown
    messages: Messages

    async def run(self) -> Outcome:
        """Plan, ask, and run."""
        planned = self.options.stands_for or self.manifest
        quote = Quote(
            planned,
            self.options.choice,
            self.reporter.finding,
            self.clock,
            self.shutdown,
            self.options.environment,
        )
        path = self.manifest.ledger_path
        plan = None
        if not path.exists():
            # Before anything is created: what is wrong with a new job leaves no trace.
            plan = await quote.plan(History())
        history = History()
        async with open_ledger(path, fold=history.fold) as ledger:
            history.read_line = ledger.read_line
            if plan is None or history.runs:
                plan = await quote.plan(history)
            plan, catalogue = await quote.today(plan, history)
            if not self.options.confirm(plan, history):
                return Outcome(plan)
            gate = self._gate(history, catalogue)
            scribe = Scribe(self.manifest, history, ledger.replay) if self.manifest.output.sidecar else None
            listeners = [self.reporter.heard, gate.circuits.heard, gate.budget.heard, self.messages.heard]
            listeners += [scribe.heard] if scribe else []
            one = _Run(
                self,
                history,
                plan,
                recorder=Recorder(ledger, history, listeners),
                gate=gate,
                catalogue=catalogue,
                agreed_usd=max(history.agreed_usd, total_usd(plan, history)),
                scribe=scribe,
            )
            return await one.execute()

    def _gate(self, history: History, catalogue: Catalogue) -> Gate:
        """Return what the manifest's limits let through."""
        asked, options = self.manifest.run, self.options
        caps_usd = {
            model: limit.budget_usd for model, limit in asked.limits.items() if limit.budget_usd is not None
        }
        cap_usd = asked.budget_usd if options.budget_usd is None else options.budget_usd
        return Gate(
            budget=Budget(
                cap_usd, history, caps_usd, price=catalogue.price_now, bell=self.bell, tell=self.reporter.tell
            ),
            circuits=Circuits(asked.stop_after, history, self.reporter.tell),
            hours=None if options.ignore_window or asked.window is None else Window.of(asked.window),
            stays=not options.no_wait,
            jumps=asked.order in {"smallest", "cheapest"},
            expected_s=lambda task: history.experience.expected_s(task.model, task.pixels),
            clock=self.clock,
            bell=self.bell,
            shutdown=self.shutdown,
            notices=self.reporter,
        )


@dataclass
class _Run:
    """One run with everything it needs."""

    session: _Session
    history: History
    plan: Plan
    recorder: Recorder
    gate: Gate
    catalogue: Catalogue
    agreed_usd: Decimal
    scribe: Scribe | None = None
    fatal: FatalError | None = None
    window_left: bool = False

    async def execute(self) -> Outcome:
        """Run the plan to its end, or to where something stops it."""
        started_s = self.session.clock.now_s()
        await self._guarded(self._all)
        elapsed_s = round(self.session.clock.now_s() - started_s, 1)
        await self._guarded(
            lambda: self.recorder.record(
                events.Stopped(why=self._why(), elapsed_s=elapsed_s, at=self.session.clock.utc())
            )
        )
        summary = await to_thread.run_sync(summarise, self.history)
        return Outcome(
            plan=self.plan,
            summary=msgspec.structs.replace(summary, stopped=self._why(), elapsed_s=elapsed_s),
            signum=self.session.shutdown.signum,
            fatal=str(self.fatal or ""),
        )

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Let what makes further work useless end the run, not the report of it."""
        try:
            await work()
        except FatalError as error:
            self.stop(error)
        except BaseExceptionGroup as group:
            one = only(group)
            if not isinstance(one, FatalError):
                raise
            self.stop(one)

    async def _all(self) -> None:
        await self.recorder.record_all(self._opening())
        if self.session.options.stands_for is None:
            index.remember(
                self.session.manifest.file, self.session.manifest.name, self.session.manifest.ledger_path
            )
        await to_thread.run_sync(self._clear)
        if self.scribe is not None:
            await self._catch_up(self.scribe)
        self.session.reporter.begin(self.plan, self.history)
        self.session.messages.begin(self.plan, self.history)
        await self._work()

    async def _catch_up(self, scribe: Scribe) -> None:
        """Write the sidecars that earlier runs have left out."""
        try:
            await to_thread.run_sync(scribe.begin, self.plan)
        except OSError as error:
            folder = self.session.manifest.output_dir
            raise FatalError(
                f"cannot write sidecars in {folder}: {error.strerror or error}", stopped="disk"
            ) from error

    def _clear(self) -> None:
        """Remove what killed runs left of tasks that are no more."""
        for task_id in self.plan.orphans:
            record = self.history.get(task_id)
            seen = self.history.seen(record) if record else None
            if seen is not None:
                output = self.session.manifest.output_dir / to_path(seen.output)
                outputs.discard(outputs.part_path(output, task_id))

    def stop(self, error: FatalError) -> None:
        """Start nothing more, because of *error*."""
        self.fatal = self.fatal or error
        self.session.shutdown.drain()

    def _why(self) -> str | None:
        if self.fatal is not None:
            return self.fatal.stopped
        if self.session.shutdown.draining:
            return "interrupted"
        if self.gate.budget.refused:
            return "budget"
        if self.window_left:
            return "window"
        if self.gate.circuits.paused and self.history.counts()[State.PENDING]:
            return "failures"
        return "limit" if self.plan.limited else None

    def _opening(self) -> Iterator[events.Event]:
        """Yield the run, every task that the ledger does not know, and every task that is gone."""
        now = self.session.clock.utc()
        yield events.Run(
            format=events.FORMAT,
            job=self.session.manifest.name,
            manifest=self.session.manifest.sha256,
            version=__version__,
            host=platform.node(),
            pid=os.getpid(),
            skipped=dict(self.plan.skipped),
            budget_usd=self.gate.budget.cap_usd,
            agreed_usd=self.agreed_usd,
            at=now,
        )
        for step in self.plan.steps:
            if not step.known:
                yield _seen(step, self.session.clock)
        for task_id in self.plan.orphans:
            yield events.Orphaned(id=task_id, at=now)

    async def _work(self) -> None:
        """Run every provider's lane, until all end or the run is to be left at once."""
        async with anyio.create_task_group() as group:

            async def leave() -> None:
                await self.session.shutdown.wait_detaching()
                group.cancel_scope.cancel()

            group.start_soon(leave)
            if self.plan.providers:
                async with kept_awake(f"{self.session.manifest.name} is being upscaled") as means:
                    if means:
                        self.session.reporter.say(f"this machine stays awake until the run ends ({means})")
                    await self._run_lanes()
            group.cancel_scope.cancel()

    async def _run_lanes(self) -> None:
        session = self.session
        flying = InFlight(session.reporter, session.clock)
        means = self._means(flying)
        async with open_lanes(means) as lanes:
            steering = Steering(self.plan, self.history, self.gate, means.throttle, lanes, flying)
            async with self._announced(steering), anyio.create_task_group() as running:
                for lane in lanes:
                    running.start_soon(lane.run)
            self.window_left = any(lane.backlog.window_left for lane in lanes)

    def _announced(self, steering: Steering) -> AbstractAsyncContextManager[None]:
        """Let the run be found and steered by its user, unless it is a rehearsal, of which nothing is to be left."""
        if self.session.options.stands_for is not None:
            return nullcontext()
        job, now = self.session.manifest, self.session.clock.utc()
        return open_control(job.name, job.file.absolute(), job.ledger_path, now, steering.answer)

    def _means(self, watcher: Watcher) -> Means:
        options = self.session.options
        rates = {model: limit.rate for model, limit in self.session.manifest.run.limits.items() if limit.rate}
        return Means(
            manifest=self.session.manifest,
            plan=self.plan,
            history=self.history,
            catalogue=self.catalogue,
            record=self.recorder.record,
            clock=self.session.clock,
            gate=self.gate,
            throttle=Throttle(self.session.clock, self.session.manifest.run.rate, rates),
            watcher=watcher,
            concurrency=options.concurrency,
            environment=options.environment,
            stop=self.stop,
            log=self.session.reporter.log,
            scribe=self.scribe,
            cluster="" if options.stands_for else options.cluster or self.session.manifest.run.cluster or "",
            tell=self.session.reporter.tell,
        )


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
