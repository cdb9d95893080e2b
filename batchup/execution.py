"""Execution: a plan run to its end, or to where something stops it, and the record of both."""

import os
import platform
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from decimal import Decimal

import anyio
import msgspec
from anyio import to_thread

from batchup import events, outputs
from batchup.awake import kept_awake
from batchup.catalogue import Catalogue
from batchup.clock import Clock
from batchup.control import open_control
from batchup.errors import FatalError, Interrupted, only
from batchup.gate import Gate
from batchup.history import History, State
from batchup.lanes import Means, open_lanes
from batchup.ledger import index
from batchup.plan import Action, Plan, Step
from batchup.recorder import CHUNK, Recorder
from batchup.scribe import Scribe
from batchup.session import Outcome, Session
from batchup.source import to_path
from batchup.steering import InFlight, Steering
from batchup.summary import summarise
from batchup.terminal import count
from batchup.throttle import Throttle
from batchup.version import __version__
from batchup.workplace import Watcher


@dataclass
class Execution:
    """One run with everything it needs. :meth:`execute` is called once.

    Attributes:
        agreed_usd: What a person has agreed to spend on the whole job, this run and earlier ones together.
        scribe: Writes a sidecar beside each output; None where nobody asks for them.
        fatal: What made further work useless; None as long as nothing did.
        window_left: Whether steps were left because the window had closed.
    """

    session: Session
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
        """Run the plan to its end, or to where something stops it; a FatalError does, and is told by the outcome."""
        started_s = self.session.clock.now_s()
        await self._guarded(self._begin)
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

    async def _begin(self) -> None:
        """Record what is to be done, tidy up after earlier runs, and do it."""
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
        """Return why the run ends early, as :attr:`Summary.stopped`; None where it does not."""
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
        """Yield the run, every task that the ledger does not know, and every task that is gone.

        Raises:
            Interrupted: A signal came before all was told.
        """
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
        total = count(len(self.plan.news), "new task")
        for number, step in enumerate(self.plan.steps.pick(self.plan.news)):
            if number and number % CHUNK == 0:
                # Of a million this takes as long as a person waits for Ctrl-C; the next run names the rest.
                if self.session.shutdown.signum is not None:
                    raise Interrupted(self.session.shutdown.signum)
                self.session.reporter.preparing(f"{number:,} of {total} written to the ledger")
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
        """Run all lanes at once, while a person may look on and steer."""
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
