"""`batchup explain`: everything that is known about one input, and why it will or will not run."""

from datetime import UTC, datetime
from pathlib import Path

import click

from batchup.cli import print_json
from batchup.cli.options import Output, common, manifest_argument


@click.command(
    short_help="Tell everything known about one input.",
    epilog="Example:  batchup explain holiday.yaml IMG_0042.jpg",
)
@manifest_argument
@click.argument("file")
@common
def explain(manifest: Path, file: str, *, output: Output) -> int:
    """Tell everything known about one input of MANIFEST, and why it will or will not run.

    FILE is a path (absolute, from here, or below the input's folder), its end, or a URL. Changes nothing, and may be
    asked while a run is going on.
    """
    from batchup.cli.dossier import dossier
    from batchup.cli.dossier_text import lines
    from batchup.cli.inquiry import look_up
    from batchup.cli.outlook import look_ahead
    from batchup.cli.prospect import prospects
    from batchup.history import History
    from batchup.ledger import open_view
    from batchup.manifest import load
    from batchup.plan import Choice
    from batchup.survey import survey
    from batchup.ticker import heeded, reading, ticking

    job, now = load(manifest), datetime.now(UTC)
    with ticking(show=not output.quiet) as tell, open_view(job.ledger_path) as view:
        told = reading(job.ledger_path, tell)
        history = History(view.read_line).fold(heeded(view.replay(), told))
        plan = survey(job, history, Choice(), now, tell)
        outlook = look_ahead(plan, job, history, now)
        found = look_up(file, job, plan, history)
        expected = prospects(found, plan, history, outlook.coverage)
        known = dossier(found, job, history, (line for _, line in heeded(view.replay(), told)), expected)
    if output.json:
        print_json(known)
    elif not output.quiet:
        for line in lines(known, outlook.window):
            click.echo(line)
    return 0
