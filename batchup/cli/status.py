"""`batchup status`: how a job stands, from its ledger alone."""

import os
from pathlib import Path

import click

from batchup.cli import print_json
from batchup.cli.begun import load_begun
from batchup.cli.options import Output, common, manifest_argument


@click.command(
    short_help="Show how a job stands: counts, cost, failures.",
    epilog="Example:  batchup status holiday.yaml --json",
)
@manifest_argument
@common
def status(manifest: Path, *, output: Output) -> int:
    """Show how the job of MANIFEST stands: counts, cost, failures by class.

    Reads the ledger alone, also while a run is going on.
    """
    from batchup.history import History
    from batchup.ledger import open_view
    from batchup.summary import summarise
    from batchup.ticker import heeded, reading, ticking

    job = load_begun(manifest)
    with ticking(show=not output.quiet) as tell, open_view(job.ledger_path) as view:
        history = History(view.read_line).fold(heeded(view.replay(), reading(job.ledger_path, tell)))
        summary = summarise(history)
    if output.json:
        print_json(summary)
    elif not output.quiet:
        from batchup.cli.show import summary_lines
        from batchup.ledger.lock import holder

        running = holder(Path(os.path.realpath(job.ledger_path)))
        cut = "" if history.ended else "the last run was cut short"
        now = f"running: {running}" if running else cut
        click.echo("\n".join(summary_lines(summary, job, now=now)))
    return 0
