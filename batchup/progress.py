"""A run as a person sees it go on: bars on a terminal, a plain line every ten seconds elsewhere."""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Never

import anyio
import msgspec
from tqdm import tqdm

from batchup.clock import Clock, SystemClock
from batchup.events import Done, Event, Failed, Held, Retried, encode
from batchup.history import History, State
from batchup.manifest.quantities import format_duration
from batchup.plan import Plan, Step
from batchup.shutdown import Shutdown
from batchup.terminal import escape

LOG = logging.getLogger("batchup")

LINE_EVERY_S = 10.0
BAR_EVERY_S = 0.25
MAX_TOLD = 20
"""Failures that are told as they happen; `batchup status` counts all."""

BAR = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}{postfix}"


class Progress:
    """Hears of a run and shows it on standard error; see :class:`batchup.run.Reporter`."""

    def __init__(self, *, show: bool = True, color: bool = True, clock: Clock | None = None) -> None:
        self._show = show
        self._terminal = show and sys.stderr.isatty()
        self._color = color
        self._clock = clock or SystemClock()
        self._bar: tqdm[Never] | None = None
        self._job = ""
        self._total = self._before = self._ended = self._failed = self._to_run = 0
        self._running: dict[str, tuple[str, float]] = {}
        self._started_s = self._clock.now_s()
        self._said_s = 0.0
        self._note = ""

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Keep what is shown up to date while the block lasts."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._tick)
            try:
                yield
            finally:
                group.cancel_scope.cancel()
                if self._bar is not None:
                    self._draw()
                    self._bar.close()

    def finding(self, inputs: int) -> None:
        """Say how many inputs have been found so far."""
        if self._terminal:
            sys.stderr.write(f"\r{inputs:,} inputs found …\x1b[K")

    def begin(self, plan: Plan, history: History) -> None:
        """Say what is going to happen, and put up the bar."""
        if self._terminal:
            sys.stderr.write("\r\x1b[K")
        counts = history.counts()
        self._job = history.job
        self._total, self._before = counts.total(), counts[State.DONE]
        self._to_run = plan.to_run
        self._started_s = self._clock.now_s()
        if self._terminal and self._to_run:
            self._bar = tqdm(
                total=self._total,
                initial=self._before,
                bar_format=BAR,
                dynamic_ncols=True,
                file=sys.stderr,
                colour="green" if self._color else None,
                leave=True,
            )
            self._draw()
        elif self._show:
            self._say(
                f"{self._job}: {self._total:,} tasks, {self._before:,} done before, {self._to_run:,} to run"
            )

    def heard(self, event: Event) -> None:
        """Count what has become durable, and log it."""
        if isinstance(event, Done | Failed | Held):
            self._ended += 1
            self._failed += isinstance(event, Failed)
        if isinstance(event, Done | Failed | Held | Retried):
            LOG.info(_line(event), extra={"fields": msgspec.json.decode(encode(event))})
        if isinstance(event, Failed) and self._failed <= MAX_TOLD:
            name = self._running.get(event.id, (event.id[:8], 0.0))[0]
            self._say(f"{name}: {event.kind}: {event.message}")

    def started(self, step: Step) -> None:
        """Note that an attempt begins."""
        name = escape(step.task.source.path.rpartition("/")[2])
        self._running[step.task.id] = (name, 0.0)

    def advanced(self, step: Step, part: float) -> None:
        """Note that *part* of an attempt is done."""
        if step.task.id in self._running:
            self._running[step.task.id] = (self._running[step.task.id][0], part)

    def ended(self, step: Step) -> None:
        """Note that an attempt ended."""
        self._running.pop(step.task.id, None)

    def stopping(self, shutdown: Shutdown) -> None:
        """Say what the run now waits for."""
        if shutdown.stage == "drain" and shutdown.signum is not None:
            waits = f"waiting for {len(self._running)} in flight" if self._running else "nothing in flight"
            self._note = "stopping"
            self._say(
                f"stopping: starting nothing more, {waits}; once more to leave them at once", urgent=True
            )
        elif shutdown.stage == "detach":
            self._say("leaving at once; nothing that is done is lost, run again to go on", urgent=True)

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(BAR_EVERY_S if self._terminal else LINE_EVERY_S)
            if self._bar is not None:
                self._draw()
            elif self._show and self._to_run:
                self._say(self._status())

    def _draw(self) -> None:
        assert self._bar is not None
        self._bar.set_description_str(self._note or self._job, refresh=False)
        self._bar.set_postfix_str(self._status(short=True), refresh=False)
        self._bar.n = min(self._total, self._before + self._ended - self._failed)
        self._bar.refresh()

    def _status(self, *, short: bool = False) -> str:
        elapsed_s = self._clock.now_s() - self._started_s
        per_s = self._ended / elapsed_s if elapsed_s > 0 else 0.0
        left = self._to_run - self._ended
        parts = [] if short else [f"{self._before + self._ended - self._failed:,} of {self._total:,} done"]
        if self._failed or not short:
            parts.append(f"{self._failed:,} failed")
        parts.append(f"{len(self._running)} in flight")
        if per_s:
            parts.append(f"{per_s:.1f}/s" if per_s >= 1 else f"{per_s * 60:.1f}/min")
            if left > 0:
                parts.append(f"{format_duration(left / per_s)} left")
        slow = max(self._running.values(), key=lambda item: item[1], default=("", 0.0))
        if slow[1]:
            parts.append(f"{slow[0]} {slow[1]:.0%}")
        return ", ".join(parts)

    def _say(self, text: str, *, urgent: bool = False) -> None:
        if self._show or urgent:
            tqdm.write(escape(text), file=sys.stderr)


def _line(event: Event) -> str:
    """Return a log line: one event and its values."""
    task = f"task {event.id[:8]}" if isinstance(event, Done | Failed | Held | Retried) else ""
    if isinstance(event, Done):
        how = f"copied from {event.copied_from[:8]}" if event.copied_from else f"in {event.seconds:.1f} s"
        return escape(f"{task} done {how}: {event.output} {event.width}x{event.height}")
    if isinstance(event, Retried):
        return escape(f"{task} retry {event.attempt} in {event.wait_s:.1f} s: {event.message}")
    if isinstance(event, Failed):
        return escape(f"{task} failed {event.kind}: {event.message}")
    if isinstance(event, Held):
        return escape(f"{task} held: {event.message}")
    return ""
