"""`batchup run`: expands, resumes, runs, and ends with a summary."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from batchup.cli import EXIT_ACCOUNT, EXIT_DISK, EXIT_FAILED, EXIT_LIMIT, EXIT_USAGE, print_json, warn
from batchup.cli.options import Output, common, manifest_argument

if TYPE_CHECKING:
    from batchup.history import History
    from batchup.plan import Plan
    from batchup.run import Outcome

_STATUS = {
    "disk": EXIT_DISK,
    "account": EXIT_ACCOUNT,
    "budget": EXIT_LIMIT,
    "window": EXIT_LIMIT,
    "limit": EXIT_LIMIT,
    "failures": EXIT_LIMIT,
}


A = TypeVar("A")
B = TypeVar("B")


@click.command(epilog="Example:  batchup run holiday.yaml --limit 5")
@manifest_argument
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="Run no more than N tasks; the rest stays pending.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tasks at a time, instead of the manifest's.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Only inputs whose path matches, as in .gitignore or as `plan` shows it.",
)
@click.option("--retry-failed", is_flag=True, help="Run failed tasks again.")
@click.option(
    "--class",
    "kinds",
    multiple=True,
    metavar="CLASS",
    help="With --retry-failed: only failures of this class.",
)
@click.option(
    "--redo", multiple=True, metavar="PATTERN", help="Run done tasks again whose input's path matches."
)
@click.option(
    "--resubmit-held", is_flag=True, help="Submit held tasks again, though they may have been paid already."
)
@click.option("--restore", is_flag=True, help="Replace outputs that somebody changed since.")
@click.option(
    "--budget", metavar="AMOUNT", help="Cap on the whole job's cost, instead of the manifest's: \"5 USD\"."
)
@click.option("--yes", is_flag=True, help="Spend, and pay again for what was done before, without asking.")
@common
def run(
    manifest: Path,
    *,
    limit: int | None,
    concurrency: int | None,
    only: tuple[str, ...],
    retry_failed: bool,
    kinds: tuple[str, ...],
    redo: tuple[str, ...],
    resubmit_held: bool,
    restore: bool,
    yes: bool,
    budget: str | None,
    output: Output,
) -> int:
    """Run MANIFEST, or go on where it stopped.

    What is done stays done; nothing is run twice. Ctrl-C once finishes what is in flight, twice leaves it.
    """
    import anyio

    from batchup.cli.agree import agrees
    from batchup.inputs import Patterns
    from batchup.manifest import load
    from batchup.manifest.quantities import usd
    from batchup.plan import Choice
    from batchup.progress import Progress
    from batchup.run import Options
    from batchup.run import run as run_manifest

    if kinds and not retry_failed:
        raise click.UsageError("--class goes with --retry-failed")
    _parsed("--only", Patterns, only)
    _parsed("--redo", Patterns, redo)
    cap = _parsed("--budget", usd, budget) if budget is not None else None
    job = load(manifest)
    choice = Choice(
        retry_failed=retry_failed,
        retry_kinds=frozenset(kinds),
        redo=redo,
        resubmit_held=resubmit_held,
        restore=restore,
        only=only,
        limit=limit,
    )
    progress = Progress(show=not output.quiet, color=output.color)

    def confirm(plan: "Plan", history: "History") -> bool:
        progress.found()
        warn(plan.warnings)
        return agrees(plan, history, yes=yes)

    options = Options(choice=choice, concurrency=concurrency, budget_usd=cap, confirm=confirm)

    async def execute() -> "Outcome":
        return await run_manifest(job, options, progress)

    outcome = anyio.run(execute)
    if outcome.fatal:
        click.echo(outcome.fatal, err=True)
    if outcome.summary is not None:
        if output.json:
            print_json(outcome.summary)
        elif not output.quiet:
            from batchup.cli.show import summary_lines

            click.echo("\n".join(summary_lines(outcome.summary, job, outcome.plan)))
    return end_status(outcome)


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


def _parsed(option: str, parse: Callable[[A], B], value: A) -> B:
    try:
        return parse(value)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from error
