"""Session: what a run has from its beginning: what is asked of it, and who hears of it."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from batchup import events
from batchup.bell import Bell
from batchup.clock import Clock
from batchup.gate import Notices
from batchup.history import History
from batchup.manifest import Manifest
from batchup.messages import Messages
from batchup.plan import Choice, Plan
from batchup.shutdown import Shutdown
from batchup.summary import Summary
from batchup.workplace import Watcher


class Reporter(Watcher, Notices, Protocol):
    """Who shows a run to a person. Each method returns at once."""

    def preparing(self, text: str) -> None:
        """What comes before the first task has come so far. Called from any thread, often."""

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
        choice: Which tasks are run, and how many of them.
        concurrency: Tasks at a time, instead of the manifest's.
        budget_usd: Cap in USD, instead of the manifest's.
        ignore_window: Whether work may start at any time.
        no_wait: Whether the run ends when its window closes, instead of sleeping till the next opening.
        confirm: Is shown the plan before anything is run, and the history; nothing is if it answers False.
        ended: Is shown how the run ended, before that is announced to anybody.
        announces: Whether the end is announced to the manifest's addresses; not where more is to follow.
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
    announces: bool = True
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


@dataclass(frozen=True, slots=True)
class Session:
    """What a run has from its beginning: what is asked, and who hears of it.

    Attributes:
        reporter: Shows it to whoever sits there.
        bell: Rung when something may be begun that could not be before.
        shutdown: How far the run was asked to end.
        messages: Announce it to whoever does not.
    """

    manifest: Manifest
    options: Options
    reporter: Reporter
    clock: Clock
    bell: Bell
    shutdown: Shutdown
    messages: Messages
