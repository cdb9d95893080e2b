"""`batchup run --sample N --approve`: a sample, its report with the price of the rest, and the rest if that is approved."""

import sys
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from batchup.cli.options import Output
from batchup.manifest.quantities import format_usd
from batchup.terminal import count, escape

if TYPE_CHECKING:
    from decimal import Decimal

    from batchup.approval import Approval
    from batchup.coverage import Coverage
    from batchup.manifest import Manifest
    from batchup.plan import Plan
    from batchup.run import Options, Outcome


class Attended(Protocol):
    """Runs a job with somebody in front of it."""

    def run(
        self, options: "Options", *, agrees: Callable[["Plan"], bool] | None = ..., tells: bool = ...
    ) -> "Outcome":
        """Run once, to the end.

        *agrees* decides about the plan, in place of asking; *tells*: whether the end is told.
        """

    def tell(self, outcome: "Outcome") -> None:
        """Tell how a run ended."""

    def announce(self, outcome: "Outcome") -> None:
        """Announce how a run ended that has not announced it itself."""


def approved(
    manifest: "Manifest", options: "Options", attended: Attended, *, yes: bool, output: Output
) -> "Outcome":
    """Run a sample, ask, and run the rest.

    Args:
        manifest: Of the job.
        options: Of the run, its choice a sample.
        attended: Runs.
        yes: Whether the rest is approved already.
        output: How to speak.
    """
    # One document is all that --json prints: that of the last run. Likewise one end is announced: the command's.
    outcome = attended.run(replace(options, announces=False), tells=not output.json)
    options = replace(options, choice=replace(options.choice, sample=None))
    while (found := _rest(manifest, outcome, options, quiet=output.quiet)) is not None:
        rest, coverage = found
        if not (yes or _asked(manifest, _words(rest, coverage), quiet=output.quiet)):
            break
        end = attended.run(options, agrees=None if yes else _covers(rest))
        if end.summary is not None:
            return end
        click.echo("by now the rest is more than that", err=True)
    if output.json:
        attended.tell(outcome)
    attended.announce(outcome)
    return outcome


def _covers(rest: "Plan") -> Callable[["Plan"], bool]:
    """Return what tells whether a plan asks for no more than *rest* did, of which only the numbers are kept."""
    usd, tasks, unpriced, again = rest.to_pay_usd, rest.to_run, rest.unpriced, rest.again

    def covers(plan: "Plan") -> bool:
        is_cheaper = plan.to_pay_usd <= usd and plan.unpriced <= unpriced
        return is_cheaper and plan.to_run <= tasks and plan.again <= again

    return covers


def _is_over(outcome: "Outcome") -> bool:
    return outcome.summary is None or outcome.signum is not None or bool(outcome.fatal)


def _rest(
    manifest: "Manifest", sample: "Outcome", options: "Options", *, quiet: bool
) -> "tuple[Plan, Coverage] | None":
    """Return what a run would do now, at today's prices, and how far the budgets reach; None where that is nothing."""
    if _is_over(sample):
        return None
    from batchup.catalogue import Catalogue
    from batchup.coverage import Caps, cover
    from batchup.history import History
    from batchup.ledger import open_view
    from batchup.survey import survey
    from batchup.ticker import heeded, reading, ticking

    with ticking(show=not quiet) as tell, open_view(manifest.ledger_path) as view:
        history = History(view.read_line).fold(heeded(view.replay(), reading(manifest.ledger_path, tell)))

        def surveyed(live: "Mapping[str, Decimal] | None" = None) -> "Plan":
            catalogue = Catalogue(manifest, live, history.experience)
            return survey(manifest, history, options.choice, datetime.now(UTC), tell, catalogue=catalogue)

        rest = surveyed()
        if live := _dearer(manifest, rest, options):
            rest = surveyed(live)
        coverage = cover(rest, Caps.of(manifest, options.budget_usd), history, manifest.run.order)
        return (rest, coverage) if rest.to_run else None


def _dearer(manifest: "Manifest", rest: "Plan", options: "Options") -> "Mapping[str, Decimal]":
    """Return the unit prices of today that are higher than was known: the run will go by them."""
    import anyio

    from batchup.catalogue import Catalogue
    from batchup.clock import SystemClock
    from batchup.provision import live_prices

    paid = [name for name, (_, usd) in rest.models.items() if usd]
    if not paid:
        return {}
    return anyio.run(live_prices, manifest, Catalogue(manifest), paid, SystemClock(), options.environment)


def _words(rest: "Plan", coverage: "Coverage") -> str:
    from batchup.cli.agree import reach

    price = format_usd(rest.to_pay_usd) if rest.to_pay_usd else "nothing"
    unknown = f" and {count(rest.unpriced, 'task')} of unknown price" if rest.unpriced else ""
    again = (
        f" (of these, {count(rest.again, 'input')} that {'is' if rest.again == 1 else 'are'} done would be paid for"
        f" again, for {format_usd(rest.again_usd)})"
    )
    whole = f"The rest: {count(rest.to_run, 'task')} for {price}{unknown}{again if rest.again else ''}"
    return f"{whole}{reach(coverage)}. Go on?"


def _asked(manifest: "Manifest", question: str, *, quiet: bool) -> bool:
    """Return what a person says, on the report's page or on the terminal, whichever comes first."""
    import anyio

    async def ask() -> bool:
        from batchup.approval import open_approval

        async with open_approval(question) as approval:
            file = await anyio.to_thread.run_sync(_reported, manifest, approval, question)
            click.echo(f"the sample: {escape(str(file))}", err=True)
            click.echo(f"to answer in the browser: {approval.page}", err=True)
            on_terminal = sys.stdin.isatty() and sys.stderr.isatty()
            if on_terminal and not quiet:
                webbrowser.open(file.as_uri())
            return await _answer(approval, question, on_terminal=on_terminal)

    try:
        said = anyio.run(ask)
    except KeyboardInterrupt:
        said = False
    _reported(manifest, None, "")  # without the question, which nobody answers any more
    if not said:
        click.echo("nothing more is run; the same command goes on", err=True)
    return said


async def _answer(approval: "Approval", question: str, *, on_terminal: bool) -> bool:
    import anyio

    said = False
    async with anyio.create_task_group() as group:

        async def page() -> None:
            nonlocal said
            said = await approval.wait()
            group.cancel_scope.cancel()

        async def terminal() -> None:
            nonlocal said
            click.echo(f"{question} [y/N] ", nl=False, err=True)
            await anyio.wait_readable(sys.stdin)
            said = sys.stdin.readline().strip().casefold() in {"y", "yes"}
            group.cancel_scope.cancel()

        group.start_soon(page)
        if on_terminal:
            group.start_soon(terminal)
    return said


def _reported(manifest: "Manifest", approval: "Approval | None", question: str) -> Path:
    """Write the report, with the question on it."""
    from batchup.cli.report import open_report
    from batchup.report import write
    from batchup.report.page import Question
    from batchup.report.write import default_file

    asked = None if approval is None else Question(question, approval.url, approval.token)
    with open_report(manifest) as told:
        return write(told, manifest, default_file(manifest), question=asked).file
