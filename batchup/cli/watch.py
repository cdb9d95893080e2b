"""`batchup watch`: keeps an eye on the inputs, and runs what is new."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli import complain, print_json, warn
from batchup.cli.options import Output, cap_usd, common, manifest_argument, parsed
from batchup.errors import Fault, ManifestError
from batchup.terminal import escape

if TYPE_CHECKING:
    from decimal import Decimal

    from batchup.coverage import Coverage
    from batchup.history import History
    from batchup.manifest import Manifest
    from batchup.plan import Plan
    from batchup.run import Outcome
    from batchup.watch import Wishes

UNITS = ("systemd", "launchd")
UNIT = "launchd" if sys.platform == "darwin" else "systemd"
LEAST_POLL_S = 1.0


class _Watch(click.Command):
    """Takes no manifest that follows ``--unit`` for that option's value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        following = dict(zip(args, [*args[1:], ""], strict=True))
        is_bare = following.get("--unit", UNIT) not in UNITS
        return super().parse_args(
            ctx, [f"--unit={UNIT}" if is_bare and one == "--unit" else one for one in args]
        )


@click.command(
    cls=_Watch,
    short_help="Run what is new in the input folders, as it comes.",
    epilog="Example:  batchup watch holiday.yaml --settle 30s",
)
@manifest_argument
@click.option(
    "--settle",
    default="10s",
    show_default=True,
    metavar="TIME",
    help="How long a file must have been still: nobody writes it any more then.",
)
@click.option(
    "--poll",
    metavar="TIME",
    help="Look so often, instead of being told by the system: for network drives.",
)
@click.option("--concurrency", type=click.IntRange(min=1), metavar="N", help="Tasks at a time.")
@click.option("--budget", metavar="AMOUNT", help='Cap on the whole job\'s cost: "5 USD".')
@click.option("--ignore-window", is_flag=True, help="Begin work at any time, whatever run.window says.")
@click.option("--yes", is_flag=True, help="Spend, and pay again for what was done before, without asking.")
@click.option("--allow-programs", is_flag=True, help="Run the manifest's on_finish program without asking.")
@click.option(
    "--unit",
    is_flag=False,
    flag_value=UNIT,
    type=click.Choice(UNITS),
    help="Print what starts this watch at every login, and end.",
)
@common
def watch(
    manifest: Path,
    *,
    settle: str,
    poll: str | None,
    concurrency: int | None,
    budget: str | None,
    ignore_window: bool,
    yes: bool,
    allow_programs: bool,
    unit: str | None,
    output: Output,
) -> int:
    """Keep an eye on the inputs of MANIFEST, and run what is new when it has been still for a while.

    Everything is as in `run`: limits, window, budget, ledger. May be ended and started again at any time. Folders and
    disks that are not there are waited for. Without a terminal nobody is asked: new paid work needs run.budget, --budget
    or --yes, and what is done is paid for again only with --yes.
    """
    from batchup.manifest.quantities import duration

    settle_s = parsed("--settle", duration, settle)
    poll_s = None if poll is None else parsed("--poll", duration, poll)
    if poll_s is not None and poll_s < LEAST_POLL_S:
        raise click.UsageError(f"--poll: {escape(poll or '')} is too often; 1s is the least")
    budget_usd = cap_usd(budget)
    if unit is not None:
        click.echo(_unit(unit, manifest), nl=False)
        return 0
    from batchup.cli.programs import check_program
    from batchup.manifest import load
    from batchup.run import Options
    from batchup.watch import Wishes

    check_program(load(manifest), allow=allow_programs)
    options = Options(concurrency=concurrency, budget_usd=budget_usd, ignore_window=ignore_window)
    asks = _asker(manifest, budget_usd, yes=yes) if _is_attended() else None
    wishes = Wishes(settle_s, poll_s, yes, options, asks)
    return _watched(manifest, wishes, output, allow_programs=allow_programs)


def _is_attended() -> bool:
    """Return whether a person sits there."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _asker(file: Path, budget_usd: "Decimal | None", *, yes: bool) -> "Callable[[Plan, History], bool]":
    """Return what asks a person before anything is run."""
    from batchup.cli.agree import agrees
    from batchup.coverage import Caps, cover
    from batchup.manifest import load

    def ask(plan: "Plan", history: "History") -> bool:
        def covered() -> "Coverage":
            job = load(file)  # which may have been edited since
            return cover(plan, Caps.of(job, budget_usd), history, job.run.order)

        return agrees(plan, history, covered, yes=yes)

    return ask


def _watched(file: Path, wishes: "Wishes", output: Output, *, allow_programs: bool) -> int:
    """Watch until a signal comes."""
    import anyio

    from batchup.clock import SystemClock
    from batchup.progress import Progress
    from batchup.ticker import end_line
    from batchup.watch import AlarmError, open_alarm, watched_alone
    from batchup.watch import watch as watch_manifest
    from batchup.watch.loop import Ears

    last: list[Outcome] = []
    ears = Ears(
        lambda: Progress(show=not output.quiet and _is_attended(), color=output.color),
        complain,
        _shower(output, last, allow_programs=allow_programs),
    )

    async def execute() -> int:
        async with open_alarm(ears.tell, listens=wishes.poll_s is None) as alarm:
            if not output.quiet:
                click.echo(escape(f"watching the inputs of {file}; Ctrl-C ends it"), err=True)
            return await watch_manifest(file, wishes, ears, alarm, SystemClock())

    with watched_alone(file):
        try:
            signum = anyio.run(execute)
        except AlarmError as error:
            raise ManifestError([Fault("", 0, 0, str(error))]) from error
        except KeyboardInterrupt:  # between two blocks that listen to it
            signum = signal.SIGINT
    if signum == signal.SIGINT:
        end_line()
    if output.json:
        print_json({"signal": signum, "last": last[-1].summary if last else None})
    return 128 + signum


def _shower(
    output: Output, last: "list[Outcome]", *, allow_programs: bool
) -> "Callable[[Manifest, Outcome], None]":
    """Return what shows how a run ended, and runs the manifest's program then."""
    from batchup import finish
    from batchup.cli.programs import run_program
    from batchup.cli.show import summary_lines

    def show(job: "Manifest", outcome: "Outcome") -> None:
        last[:] = [outcome]
        warn(outcome.plan.warnings)
        if outcome.fatal:
            complain(outcome.fatal)
        if outcome.summary is not None and not output.quiet and not output.json:
            click.echo("\n".join(summary_lines(outcome.summary, job, outcome.plan)))
            sys.stdout.flush()
        if allow_programs or not job.on_finish or finish.is_agreed(job):
            run_program(job, outcome)
        else:  # the manifest was changed since the watch began
            click.echo(f"on_finish ({finish.shown(job)}) was never agreed to, and is not run", err=True)

    return show


def _unit(kind: str, file: Path) -> str:
    """Return the unit that starts this very command."""
    from batchup.manifest import load
    from batchup.watch import unit

    job = load(file)
    given = click.get_current_context().params
    # -P: the manifest's folder, where it is run, may hold a file called json.py.
    command = [sys.executable, "-P", "-m", "batchup", "watch", os.path.realpath(file)]
    for name in ("settle", "poll", "concurrency", "budget"):
        if given[name] is not None:
            command += [f"--{name}", str(given[name])]
    command += [
        f"--{name.replace('_', '-')}" for name in ("ignore_window", "yes", "allow_programs") if given[name]
    ]
    if kind == "systemd":
        return unit.systemd(job.name, job.folder, command)
    return unit.launchd(job.name, job.folder, command, Path.home())
