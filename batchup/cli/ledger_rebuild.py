"""`batchup ledger rebuild`: makes a lost ledger again from the sidecars beside the outputs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli import print_json
from batchup.cli.options import Output, common, manifest_argument
from batchup.terminal import count, escape

if TYPE_CHECKING:
    from batchup.rebuild import Rebuilt

MOST_TOLD = 20

_FINDINGS = {
    "intact": "as they were",
    "changed": "changed by somebody since; they stay as they are",
    "missing": "missing; the next run fetches or makes them again",
    "damaged": "damaged; the next run fetches or makes them again",
}


@click.command(
    short_help="Make a lost ledger again from the sidecars.",
    epilog="Example:  batchup ledger rebuild holiday.yaml",
)
@manifest_argument
@click.option(
    "--job",
    "jobs",
    multiple=True,
    metavar="NAME",
    help="Take the sidecars of this job only: the name in the manifest that wrote them.",
)
@common
def rebuild(manifest: Path, *, jobs: tuple[str, ...], output: Output) -> int:
    """Make the ledger of MANIFEST again from the sidecars beside its outputs, so that nothing is paid again.

    For a ledger that is lost. One that is there, from a backup or a run that began anew, gets what it does not know, and
    keeps what it has. Each output is looked at; what could not be used is told. Sidecars are there where the manifest says `output: {sidecar: true}`. They tell of
    finished outputs only: what was in flight when the ledger was lost, and what failed attempts have cost, is for
    `batchup audit` and the account's own pages to say.
    """
    from batchup.manifest import load
    from batchup.rebuild import rebuild as rebuild_ledger

    rebuilt = rebuild_ledger(load(manifest), datetime.now(UTC), jobs=jobs)
    if output.json:
        print_json(rebuilt)
        return 0
    for one in rebuilt.unusable[:MOST_TOLD]:
        click.echo(escape(f"not used: {one.file}: {one.why}"), err=True)
    if len(rebuilt.unusable) > MOST_TOLD:
        click.echo(f"not used: {len(rebuilt.unusable) - MOST_TOLD:,} more; --json has all", err=True)
    if not output.quiet:
        for line in _lines(rebuilt, manifest):
            click.echo(escape(line))
    return 0


def _lines(rebuilt: "Rebuilt", manifest: Path) -> Iterator[str]:
    from batchup.manifest.quantities import format_usd

    added = " added to what was there" if rebuilt.known else ""
    yield f"{rebuilt.ledger}: {count(rebuilt.tasks, 'task')}{added}, {format_usd(rebuilt.charged_usd)} charged"
    for finding, number in sorted(rebuilt.outputs.items(), key=lambda item: list(_FINDINGS).index(item[0])):
        yield f"  {'outputs':<9} {number:,} {_FINDINGS[finding]}"
    if len(rebuilt.jobs) > 1:
        names = ", ".join(f"{number:,} of {name}" for name, number in sorted(rebuilt.jobs.items()))
        yield f"  {'sidecars':<9} {names}"
    if rebuilt.known:
        yield f"  {'known':<9} {count(rebuilt.known, 'sidecar')} of tasks that the ledger knows"
    for name, number in sorted(rebuilt.left.items()):
        yield f"  {'left':<9} {count(number, 'sidecar')} of {name}, another job"
    yield f"  {'next':<9} batchup plan {manifest} shows what a run would do now"
