"""`batchup rehearse`: the whole run against a fal of our own on this machine, with nothing paid."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli import complain, print_json, warn
from batchup.cli.options import Output, choosing, common, manifest_argument
from batchup.cli.run import end_status
from batchup.terminal import count, row

if TYPE_CHECKING:
    from batchup.plan import Choice, Plan
    from batchup.rehearsal.stage import Night
    from batchup.run import Outcome

_CALLS = {
    "submit": "submit",
    "run": "synchronous call",
    "status": "status call",
    "result": "result",
    "upload": "upload",
    "multipart": "upload in parts",
    "download": "download",
}
"""Calls that are told, and what one is called."""


@click.command(
    short_help="Run against a fal of our own, with nothing paid.",
    epilog="Example:  batchup rehearse holiday.yaml --blank --speed 60",
)
@manifest_argument
@click.option("--blank", is_flag=True, help="Cheap outputs of the right size, instead of upscaled ones.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    metavar="N",
    help="Let time pass N times as fast, for the platform and for all that waits for it.",
)
@click.option("--rough", is_flag=True, help="A bad night: one call in ten meets some passing fault.")
@choosing
@click.option("--ignore-window", is_flag=True, help="Begin work at any time, whatever run.window says.")
@click.option(
    "--no-wait", is_flag=True, help="End when the window closes, instead of waiting for the next opening."
)
@common
def rehearse(
    manifest: Path,
    *,
    blank: bool,
    speed: float,
    rough: bool,
    choice: "Choice",
    concurrency: int | None,
    cap_usd: "Decimal | None",
    ignore_window: bool,
    no_wait: bool,
    output: Output,
) -> int:
    """Run MANIFEST against a fal of our own on this machine: nothing is paid, and no key is read.

    Expansion, limits and report are the real ones, and so are the options that `run` has. Outputs and a copy of the
    ledger, with nothing in flight and nothing held, go to a temporary folder that is told at the end, and stay there until
    the next rehearsal; the job's own are not touched. No hook is run, nobody is told, no URL is read. Local models do their work as ever.

    With --speed 60 a minute's wait is over in a second: retries, Retry-After, lost answers, opening hours. Work,
    transfers and time limits (`timeouts`) keep their real time. Ends with the exit status that the run would end with.
    """
    import anyio

    from batchup.manifest import load
    from batchup.progress import Progress
    from batchup.rehearsal.stage import BAD_NIGHT, NO_FAULTS, Wishes
    from batchup.rehearsal.stage import rehearse as rehearse_manifest
    from batchup.run import Options

    job = load(manifest)
    faults = BAD_NIGHT if rough else NO_FAULTS
    asked = Options(
        choice=choice,
        concurrency=concurrency,
        budget_usd=cap_usd,
        ignore_window=ignore_window,
        no_wait=no_wait,
    )
    wishes = Wishes(speed, blank, faults, asked)
    progress = Progress(show=not output.quiet, color=output.color)

    def tell(plan: "Plan") -> None:
        progress.found()
        warn(plan.warnings)

    outcome, night, staged = anyio.run(rehearse_manifest, job, wishes, progress, tell)
    if outcome.fatal:
        complain(outcome.fatal)
    if output.json:
        import msgspec

        print_json({**msgspec.to_builtins(outcome.summary), "rehearsal": night})
    elif not output.quiet and outcome.summary is not None:
        from batchup.cli.show import summary_lines

        click.echo("\n".join(summary_lines(outcome.summary, staged, outcome.plan, advice=False)))
        click.echo("\n".join(_lines(night, outcome)))
    return end_status(outcome)


def _lines(night: "Night", outcome: "Outcome") -> Iterator[str]:
    """Yield what a summary does not tell."""
    from batchup.manifest.quantities import format_duration, format_usd

    billed, estimated = (format_usd(Decimal(str(usd))) for usd in (night.billed_usd, night.estimated_usd))
    unknown = f", and {count(night.unpriced, 'task')} of unknown price" if night.unpriced else ""
    yield row("billed", f"{billed} would have been, for {count(night.accepted, 'request')}")
    yield row("", f"{estimated} estimated for {count(outcome.plan.to_run, 'task')}{unknown}")
    calls = [count(night.calls[step], noun) for step, noun in _CALLS.items() if night.calls.get(step)]
    yield row("calls", ", ".join(calls) or "none")
    if night.faults:
        yield row("faults", f"{count(night.faults, 'call')} met one")
    if night.speed != 1 and outcome.summary is not None:
        would, took = (format_duration(s) for s in (outcome.summary.elapsed_s, night.took_s))
        yield row("time", f"about {would} of the night, in {took} here")
    if night.not_rehearsed:
        tasks = count(night.not_rehearsed, "task")
        yield row(
            "left", f"{tasks}, whose URL would be read here, output be fetched again, or provider be asked"
        )
    yield row("rehearsed", "nothing was paid; the next rehearsal takes the place of this one:")
    yield row("", night.folder)
