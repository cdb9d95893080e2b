"""A run as a person sees it go on: one bar on a terminal, a plain line every ten seconds elsewhere."""

import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Never

import anyio
from tqdm import tqdm

from batchup.clock import Clock, SystemClock
from batchup.events import Done, Event, Failed, Held, Retried, Submitting
from batchup.figures import Figures, Pace
from batchup.history import History, State
from batchup.log import LOG, log
from batchup.plan import Action, Plan, Step
from batchup.shutdown import Shutdown
from batchup.terminal import count, escape
from batchup.ticker import CLEAR, LINE_EVERY_S, Ticker, is_terminal

BAR_EVERY_S = 0.25
MAX_TOLD = 20
"""Failures that are told as they happen; the rest is counted, and in the ledger."""

MAX_COLUMNS = 80
ECHO_COLUMNS = 3
"""Left free on the right: a terminal writes ^C behind the bar, and must not begin a new line for it."""


class Progress:
    """Hears of a run and shows it on standard error; see :class:`batchup.run.Reporter`.

    Attributes:
        why: What nothing is begun for; empty where something is.
    """

    def __init__(self, *, show: bool = True, color: bool = True, clock: Clock | None = None) -> None:
        self._show = show
        self._terminal = show and is_terminal()
        self._color = color
        self._clock = clock or SystemClock()
        self._ticker = Ticker(show=show, clock=self._clock)
        self._bar: tqdm[Never] | None = None
        self._job = ""
        self._total = self._to_run = self._before = 0
        self._ended = self._done = self._failed = self._failures = 0
        self._running: dict[str, tuple[str, float]] = {}
        self._here: set[str] = set()
        self._sent: set[str] = set()
        self._pace = Pace(self._clock.now_s())
        self._stopping_s: float | None = None
        self.why = ""
        self._history = History()

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Keep what is shown up to date while the block lasts. A summary takes its place."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._tick)
            try:
                yield
            finally:
                group.cancel_scope.cancel()
                if self._bar is not None:
                    self._bar.close()
                if self._terminal:
                    self._write("\r" + CLEAR)

    def preparing(self, text: str) -> None:
        """Say how far what comes before the first task is; called from any thread."""
        self._ticker.tick(text)

    def found(self) -> None:
        """Take away what :meth:`preparing` said."""
        self._ticker.clear()

    def begin(self, plan: Plan, history: History) -> None:
        """Say what is going to happen, and put up the bar."""
        self._ticker.clear()
        self._job, self._history = escape(history.job), history
        self._total, self._to_run = history.counts().total(), plan.to_run
        self._done, self._failed = plan.actions[Action.KEEP], plan.left[State.FAILED]
        self._before = self._done + plan.left.total()
        self._pace = Pace(self._clock.now_s())
        if self._terminal:
            self._write("\r" + CLEAR)
            if self._to_run:
                self._draw()
        else:
            tasks = count(self._total, "task")
            self._say(f"{self._job}: {tasks}, {self._done:,} done before, {self._to_run:,} to run")

    def heard(self, event: Event) -> None:
        """Count what has become durable, and log it."""
        log(event, self._running.get(getattr(event, "id", ""), ("", 0.0))[0])
        if isinstance(event, Submitting):
            self._sent.add(event.id)
        elif isinstance(event, Done | Failed | Held) or (isinstance(event, Retried) and not event.step):
            self._sent.discard(event.id)
        if isinstance(event, Done | Failed | Held):
            self._here.discard(event.id)
            self._ended += 1
            self._done += isinstance(event, Done)
            self._failed += isinstance(event, Failed)
            name, _ = self._running.pop(event.id, (f"task {event.id[:8]}", 0.0))
            if isinstance(event, Failed):
                self._tell(name, event)

    def started(self, step: Step) -> None:
        """Note that an attempt begins."""
        self._running[step.task.id] = (step.task.source.label, 0.0)
        if step.task.provider == "local" or step.action is not Action.RUN:
            self._here.add(step.task.id)

    def advanced(self, step: Step, part: float) -> None:
        """Note that *part* of an attempt is done."""
        if step.task.id in self._running:
            self._running[step.task.id] = (self._running[step.task.id][0], part)

    def ended(self, step: Step) -> None:
        """Note that an attempt ended."""
        self._running.pop(step.task.id, None)
        self._here.discard(step.task.id)
        self._sent.discard(step.task.id)

    def waiting(self, why: str) -> None:
        """Say why nothing is begun for now, and when it goes on."""
        if why != self.why:
            self.why = why
            if why or self._stopping_s is None:
                self._say(why or "going on", urgent=bool(why))
            if self._bar is not None:
                self._draw()

    def say(self, text: str) -> None:
        """Say what is good to know."""
        self._say(text)

    def tell(self, text: str) -> None:
        """Say what a person wants to know."""
        self._say(text, urgent=True)

    def log(self, text: str) -> None:
        """Note what only who asks for more wants to know."""
        LOG.info(escape(text))

    @property
    def _in_flight(self) -> int:
        """How many tasks are worked on: here, or submitted; those whose input is only brought there are not."""
        return len(self._here | self._sent)

    def stopping(self, shutdown: Shutdown) -> None:
        """Say what the run now waits for."""
        if shutdown.stage == "drain" and shutdown.signum is not None:
            self._stopping_s = self._clock.now_s()
            flying = self._in_flight
            waits = f"waiting for {flying} in flight" if flying else "nothing is in flight"
            self._say(f"stopping: starting nothing more, {waits}", urgent=True)
            if flying:
                again = "Ctrl-C again" if shutdown.signum == signal.SIGINT else "a second signal"
                self._say(f"{again} leaves them at once; nothing that is done is lost", urgent=True)
        elif shutdown.stage == "detach":
            self._say("leaving at once; run again to go on", urgent=True)

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(BAR_EVERY_S if self._terminal else LINE_EVERY_S)
            if self._bar is not None:
                self._draw()
            elif self._to_run and not self._terminal:
                self._say(self._figures().line())

    def _figures(self) -> Figures:
        now_s = self._clock.now_s()
        work = self._ended + sum(part for _, part in self._running.values())
        self._pace.measure(now_s, work)
        per_s = self._pace.per_s
        return Figures(
            job=self._job,
            total=self._total,
            done=self._done,
            failed=self._failed,
            in_flight=self._in_flight,
            part=min(1.0, max(0.0, (self._before + work) / max(1, self._total))),
            per_s=per_s,
            left_s=max(0.0, self._to_run - work) / per_s if per_s else None,
            waited_s=None if self._stopping_s is None else now_s - self._stopping_s,
            spent_usd=self._history.money.charged + self._history.money.reserved,
            budget_usd=self._history.budget_usd,
            why=escape(self.why),
        )

    def _draw(self) -> None:
        figures, columns = self._figures(), max(1, _columns() - ECHO_COLUMNS)
        left, right = (side.replace("{", "{{").replace("}", "}}") for side in figures.sides(columns))
        form = f"{left} |{{bar}}| {right}"
        if self._bar is None:
            colour = "green" if self._color else None
            self._bar = tqdm(
                total=1,
                bar_format=form,
                ncols=columns,
                nrows=20,  # any; told, so that tqdm does not hide the bar where the terminal tells 0
                file=sys.stderr,
                colour=colour,
                leave=False,
            )
        self._bar.bar_format, self._bar.ncols, self._bar.n = form, columns, figures.part
        try:
            self._bar.refresh()
        except OSError:
            self._lose_terminal()

    def _tell(self, name: str, event: Failed) -> None:
        """Tell a failure by name."""
        self._failures += 1
        if self._failures <= MAX_TOLD:
            self._say(f"failed: {name}: {event.message}", urgent=True)
        elif self._failures == MAX_TOLD + 1:
            self._say("more failed; from here on they are only counted, and kept in the ledger", urgent=True)

    def _say(self, text: str, *, urgent: bool = False) -> None:
        """Write lines above the bar."""
        if not self._show and not urgent:
            return
        self._ticker.clear()
        text = escape(text)
        if self._terminal:
            lines = textwrap.wrap(
                text, _columns(), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
            )
            text = "\n".join(CLEAR + line for line in lines)
        try:
            tqdm.write(text, file=sys.stderr)
        except OSError:
            self._lose_terminal()

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            self._lose_terminal()

    def _lose_terminal(self) -> None:
        """Show nothing more: the terminal was closed, and the run goes on to where it can stop."""
        self._show = self._terminal = False
        self._bar = None


def _columns() -> int:
    """Return the columns to use of the terminal that standard error is; a pseudo-terminal may say 0."""
    try:
        return min(MAX_COLUMNS, os.get_terminal_size(sys.stderr.fileno()).columns or MAX_COLUMNS)
    except OSError:  # it was closed
        return MAX_COLUMNS
