"""`batchup report`: what has become of a job, as a page, a table or a document."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from batchup.cli import print_json
from batchup.cli.begun import load_begun
from batchup.cli.options import Output, common, manifest_argument
from batchup.errors import FatalError
from batchup.terminal import count, escape

TICK_EVERY = 1000

if TYPE_CHECKING:
    from batchup.cli.export import Row
    from batchup.manifest import Manifest
    from batchup.report import Report, Written


@click.command(
    short_help="Make a page of before and after, cost and failures.",
    epilog="Example:  batchup report holiday.yaml --output ~/Desktop/holiday.html",
)
@manifest_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "csv", "json"]),
    default="html",
    show_default=True,
    help="A page for a browser, a table with a row a task, or everything that the page tells.",
)
@click.option(
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE; by default a page goes beside the ledger, the others to stdout.",
)
@common
def report(manifest: Path, *, form: str, target: Path | None, output: Output) -> int:
    """Tell what has become of the job of MANIFEST: one HTML file with every before and after.

    Made from the ledger alone, and the pictures where they lie; also while a run is going on. The page needs no network
    and no other file but the pictures themselves; with very many its thumbnails lie in a folder beside it.
    """
    if output.json and form == "csv" and target is None:
        raise click.UsageError(
            "--json prints JSON and nothing else; leave out --format csv, or add --output FILE"
        )
    job = load_begun(manifest)
    _refuse_to_replace(target, manifest, job.ledger_path)
    if form == "html":
        _page(job, target, output)
    else:
        _table(job, form, target, output)
    return 0


def _page(job: "Manifest", target: Path | None, output: Output) -> None:
    from batchup.manifest.quantities import format_bytes
    from batchup.report import write
    from batchup.report.write import default_file
    from batchup.ticker import ticking

    file = Path(os.path.abspath(target)) if target is not None else default_file(job)  # noqa: PTH100 - resolve() would follow links
    with ticking(show=not output.quiet) as tell, open_report(job, tell) as told:
        written = write(told, job, file, tell)
    if output.json:
        print_json(_document(told, written))
    elif not output.quiet:
        click.echo(escape(told.headline))
        beside = f", thumbnails in {escape(str(written.beside))}" if written.beside else ""
        click.echo(f"{escape(str(written.file))}  {format_bytes(written.size_bytes)}{beside}")
        if written.shown < (tasks := len(told.entries)):
            click.echo(f"its gallery shows {written.shown:,} of {tasks:,} tasks; --format csv lists all")


def _document(told: "Report", written: "Written") -> dict[str, object]:
    return {
        "report": str(written.file),
        "size_bytes": written.size_bytes,
        "thumbnails": None if written.beside is None else str(written.beside),
        "headline": told.headline,
        "summary": told.summary,
    }


@contextmanager
def open_report(job: "Manifest", tell: Callable[[str], None] = lambda _: None) -> "Iterator[Report]":
    """Give what the ledger of a job tells while the block lasts; *tell* is told how far it was read."""
    from datetime import UTC, datetime

    from batchup.ledger import open_view
    from batchup.ledger.lock import holder
    from batchup.report import read
    from batchup.ticker import reading

    running = holder(Path(os.path.realpath(job.ledger_path)))
    with open_view(job.ledger_path) as view:
        told = reading(job.ledger_path, tell)
        yield read(view.replay(), view.read_line, datetime.now(UTC), running, told)


def _table(job: "Manifest", form: str, target: Path | None, output: Output) -> None:
    """Print or write a table or a document, whole or not at all."""
    from batchup.ticker import ticking

    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as draft:
        with ticking(show=not output.quiet) as tell:
            number = _csv(job, draft, tell) if form == "csv" else _json(job, draft, tell)
        draft.seek(0)
        if target is None:
            shutil.copyfileobj(draft, sys.stdout)
            sys.stdout.flush()
            return
        try:
            with target.open("w", encoding="utf-8", newline="") as file:
                shutil.copyfileobj(draft, file)
        except OSError as error:
            raise FatalError(f"{target}: cannot be written: {error.strerror}", stopped="disk") from error
    if output.json:
        print_json({"report": str(target), "tasks": number})
    elif not output.quiet:
        click.echo(f"{escape(str(target))}: {count(number, 'task')}")


def _csv(job: "Manifest", draft: TextIO, tell: Callable[[str], None]) -> int:
    from batchup.cli.export import rows, write_csv
    from batchup.ledger import open_view
    from batchup.ticker import heeded, reading

    with open_view(job.ledger_path) as view:
        found = rows(heeded(view.replay(), reading(job.ledger_path, tell)), view.read_line)
        return write_csv(_counted(found, tell), draft)


def _json(job: "Manifest", draft: TextIO, tell: Callable[[str], None]) -> int:
    from batchup.report.write import write_json

    with open_report(job, tell) as told:
        return write_json(told, draft, lambda number: tell(f"writing: {number:,} tasks"))


def _counted(rows: "Iterable[Row]", tell: Callable[[str], None]) -> "Iterator[Row]":
    for number, row in enumerate(rows):
        if number % TICK_EVERY == 0:
            tell(f"writing: {number:,} tasks")
        yield row


def _refuse_to_replace(target: Path | None, *sources: Path) -> None:
    for source in sources:
        if target is not None and target.exists() and target.samefile(source):
            raise click.UsageError(
                f"--output {escape(str(target))} would replace what the report is made from; name another file"
            )
