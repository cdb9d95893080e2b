"""`batchup run`: expands, resumes, runs, and ends with a summary."""

import gc
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli import (
    EXIT_ACCOUNT,
    EXIT_DISK,
    EXIT_FAILED,
    EXIT_LIMIT,
    EXIT_USAGE,
    complain,
    print_json,
    warn,
)
from batchup.cli.options import Output, choosing, common, manifest_argument

if TYPE_CHECKING:
    from decimal import Decimal

    from batchup.coverage import Coverage
    from batchup.history import History
    from batchup.manifest import Manifest
    from batchup.plan import Choice, Plan
    from batchup.run import Options, Outcome

_STATUS = {
    "disk": EXIT_DISK,
    "account": EXIT_ACCOUNT,
    "budget": EXIT_LIMIT,
    "window": EXIT_LIMIT,
    "limit": EXIT_LIMIT,
    "failures": EXIT_LIMIT,
    # By another process of the same user: as Ctrl-C would have.
    "interrupted": 128 + signal.SIGINT,
}


@click.command(epilog="Example:  batchup run holiday.yaml --limit 5")
@manifest_argument
@choosing
@click.option("--ignore-window", is_flag=True, help="Begin work at any time, whatever run.window says.")
@click.option(
    "--no-wait", is_flag=True, help="End when the window closes, instead of sleeping till it opens."
)
@click.option(
    "--approve", is_flag=True, help="With --sample: show its report and the price of the rest, and ask."
)
@click.option("--yes", is_flag=True, help="Spend, and pay again for what was done before, without asking.")
@click.option("--allow-programs", is_flag=True, help="Run the manifest's on_finish program without asking.")
@click.option(
    "--metrics",
    "metrics_port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve OpenMetrics at http://127.0.0.1:PORT/metrics while the run lasts.",
)
@click.option(
    "--dashboard", is_flag=True, help="Show the run in the browser while it lasts; see `dashboard`."
)
@click.option(
    "--cluster",
    "address",
    metavar="ADDRESS",
    default="",
    help="Have workers on other machines do the work: tcp://scheduler:8786; see `batchup cluster`.",
)
@common
def run(
    manifest: Path,
    *,
    choice: "Choice",
    concurrency: int | None,
    cap_usd: "Decimal | None",
    ignore_window: bool,
    no_wait: bool,
    approve: bool,
    yes: bool,
    allow_programs: bool,
    metrics_port: int | None,
    dashboard: bool,
    address: str,
    output: Output,
) -> int:
    """Run MANIFEST, or go on where it stopped.

    What is done stays done; nothing is run twice. Ctrl-C once finishes what is in flight, twice leaves it.
    """
    from batchup.cli.dashboard import shown
    from batchup.cli.programs import check_program, run_program
    from batchup.cluster.address import check_address
    from batchup.manifest import load
    from batchup.run import Options

    if approve and choice.sample is None:
        raise click.UsageError("--approve goes with --sample N")
    job = load(manifest)
    check_address(address)
    check_program(job, allow=allow_programs)
    attended = _Attended(job, output, yes=yes, metrics_port=metrics_port)
    options = Options(
        choice=choice,
        concurrency=concurrency,
        budget_usd=cap_usd,
        ignore_window=ignore_window,
        no_wait=no_wait,
        cluster=address,
    )
    with shown(manifest, wanted=dashboard):
        outcome = attended.run_sample_first(options) if approve else attended.run(options)
    run_program(job, outcome)
    return end_status(outcome)


@dataclass(frozen=True)
class _Attended:
    """A run with somebody in front of it: asked before money is spent, shown how it goes, told how it ended."""

    job: "Manifest"
    output: Output
    yes: bool
    metrics_port: int | None

    def run_sample_first(self, options: "Options") -> "Outcome":
        """Run a sample, and the rest if that is approved."""
        from batchup.cli.approve import approved

        return approved(self.job, options, self, yes=self.yes, output=self.output)

    def run(
        self,
        options: "Options",
        *,
        agrees: Callable[["Plan"], bool] | None = None,
        tells: bool = True,
    ) -> "Outcome":
        """Run once, to the end.

        Args:
            options: Of the run.
            agrees: Decides about the plan in place of the person, who has been asked already.
            tells: Whether the end is told.
        """
        import anyio

        from batchup.progress import Progress
        from batchup.run import run

        progress = Progress(show=not self.output.quiet, color=self.output.color)

        def confirm(plan: "Plan", history: "History") -> bool:
            progress.found()
            self._foretell(plan, history, options)
            _spare_collector()
            return agrees(plan) if agrees else self._agrees(plan, history, options)

        asked = replace(options, confirm=confirm, ended=self.tell if tells else lambda _: None)

        async def execute() -> "Outcome":
            if self.metrics_port is None:
                return await run(self.job, asked, progress)
            from batchup.audience import Audience
            from batchup.metrics import open_metrics

            async with open_metrics(self.metrics_port, progress.say) as metrics:
                return await run(self.job, asked, Audience(progress, metrics))

        return anyio.run(execute)

    def _foretell(self, plan: "Plan", history: "History", options: "Options") -> None:
        from batchup.cli.outlook import foretold, look_ahead

        warn(plan.warnings)
        if not self.output.quiet:
            outlook = look_ahead(
                plan,
                self.job,
                history,
                datetime.now(UTC),
                concurrency=options.concurrency,
                cap_usd=options.budget_usd,
            )
            for line in foretold(outlook, asks=sys.stderr.isatty()):
                click.echo(line, err=True)

    def _agrees(self, plan: "Plan", history: "History", options: "Options") -> bool:
        from batchup.cli.agree import agrees
        from batchup.coverage import Caps, cover

        def covered() -> "Coverage":
            return cover(plan, Caps.of(self.job, options.budget_usd), history, self.job.run.order)

        return agrees(plan, history, covered, yes=self.yes)

    def tell(self, outcome: "Outcome") -> None:
        """Tell how a run ended."""
        if outcome.fatal:
            complain(outcome.fatal)
        if outcome.summary is not None and self.output.json:
            print_json(outcome.summary)
        elif outcome.summary is not None and not self.output.quiet:
            from batchup.cli.show import summary_lines

            click.echo("\n".join(summary_lines(outcome.summary, self.job, outcome.plan)))

    def announce(self, outcome: "Outcome") -> None:
        """Announce how a run ended that has not announced it itself."""
        if outcome.summary is None:
            return
        import anyio

        from batchup.messages import announce
        from batchup.terminal import escape

        def tell(text: str) -> None:
            click.echo(escape(text), err=True)

        anyio.run(announce, self.job, outcome.summary, outcome.fatal, outcome.plan.to_run, tell)


def _spare_collector() -> None:
    """Look for cycles less often from here on, and never again among what the run was begun with, which stays.

    Of 9.5 billion instructions for 1,000 fal tasks this saves 0.27. The first generation may grow to 10,000 objects,
    some megabytes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


def end_status(outcome: "Outcome") -> int:
    """Return the exit status that a run's end stands for."""
    summary = outcome.summary
    if summary is None:
        return EXIT_USAGE
    if outcome.signum is not None:
        return 128 + outcome.signum
    if summary.stopped in _STATUS:
        return _STATUS[summary.stopped]
    tasks = summary.tasks
    return EXIT_FAILED if tasks.failed or tasks.held or tasks.in_flight else 0
