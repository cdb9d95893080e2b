"""The composition root: from a manifest to a run of it."""

from functools import partial

from batchup.bell import Bell
from batchup.budget import Budget
from batchup.catalogue import Catalogue
from batchup.circuits import Circuits
from batchup.clock import Clock, SystemClock
from batchup.coverage import Caps
from batchup.errors import only
from batchup.execution import Execution
from batchup.forecast import expected_s
from batchup.gate import Gate
from batchup.history import History
from batchup.ledger import open_ledger
from batchup.manifest import Manifest
from batchup.messages import open_messages
from batchup.order import jumps
from batchup.quote import Quote, total_usd
from batchup.recorder import Recorder
from batchup.scribe import Scribe
from batchup.session import Options, Outcome, Reporter, Session
from batchup.shutdown import Shutdown, open_signals
from batchup.ticker import heeded, reading
from batchup.window import Window

__all__ = ["Options", "Outcome", "Reporter", "run"]


async def run(
    manifest: Manifest, options: Options, reporter: Reporter, clock: Clock | None = None
) -> Outcome:
    """Run a manifest: expand, resume, execute. May be called again at any time, and goes on where it stopped.

    Raises:
        ManifestError: Something is wrong that is known before the first task; nothing was written.
        LedgerError: The ledger is in use, damaged or some other file.
        FatalError: There is no account to work with, or the ledger's disk refuses: nothing was run. What comes up later
            ends the run, and is told by the :class:`Outcome`.
        Interrupted: A signal came before anything was run.
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
                outcome = await _planned(
                    Session(manifest, options, reporter, clock, bell, shutdown, messages)
                )
            options.ended(outcome)
            if outcome.summary is not None and options.announces:
                messages.ended(outcome.summary, outcome.fatal)
            return outcome
    except BaseExceptionGroup as group:
        # Every block above may have wrapped what is one error.
        raise only(group) from None


async def _planned(session: Session) -> Outcome:
    """Plan, ask, and run what was agreed to."""
    planned = session.options.stands_for or session.manifest
    quote = Quote(
        planned,
        session.options.choice,
        session.reporter.preparing,
        session.clock,
        session.shutdown,
        session.options.environment,
    )
    path = session.manifest.ledger_path
    plan = None
    if not path.exists():
        # Before anything is created: what is wrong with a new job leaves no trace.
        plan = await quote.plan(History())
    history = History()
    told = reading(path, quote.heed)
    async with open_ledger(path, fold=lambda lines: history.fold(heeded(lines, told))) as ledger:
        history.read_line = ledger.read_line
        if plan is None or history.runs:
            plan = await quote.plan(history)
        plan, catalogue = await quote.today(plan, history)
        if not session.options.confirm(plan, history):
            return Outcome(plan)
        gate = _gate(session, history, catalogue)
        scribe = Scribe(session.manifest, history, ledger.replay) if session.manifest.output.sidecar else None
        listeners = [session.reporter.heard, gate.circuits.heard, gate.budget.heard, session.messages.heard]
        listeners += [scribe.heard] if scribe else []
        execution = Execution(
            session,
            history,
            plan,
            recorder=Recorder(ledger, history, listeners),
            gate=gate,
            catalogue=catalogue,
            agreed_usd=max(history.agreed_usd, total_usd(plan, history)),
            scribe=scribe,
        )
        return await execution.execute()


def _gate(session: Session, history: History, catalogue: Catalogue) -> Gate:
    """Return what holds every task against the limits of the manifest and of this run."""
    asked, options = session.manifest.run, session.options
    caps = Caps.of(session.manifest, options.budget_usd)
    return Gate(
        budget=Budget(
            caps.run_usd,
            history,
            caps.models_usd,
            price=catalogue.price_now,
            bell=session.bell,
            tell=session.reporter.tell,
        ),
        circuits=Circuits(asked.stop_after, history, session.reporter.tell),
        hours=None if options.ignore_window or asked.window is None else Window.of(asked.window),
        stays=not options.no_wait,
        jumps=jumps(asked.order),
        expected_s=partial(expected_s, history.experience),
        clock=session.clock,
        bell=session.bell,
        shutdown=session.shutdown,
        notices=session.reporter,
    )
