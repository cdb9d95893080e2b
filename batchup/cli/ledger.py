"""`batchup ledger`: looks after a ledger, which is named by its manifest or by its own path."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from batchup.cli import EXIT_LEDGER, print_json
from batchup.cli.attach import attach
from batchup.cli.ledger_prune import prune
from batchup.cli.ledger_rebuild import rebuild
from batchup.cli.options import Output, common
from batchup.errors import FatalError
from batchup.terminal import count, escape

if TYPE_CHECKING:
    from batchup.ledger.repair import Report

MOST_LINES = 20
"""Numbers of damaged lines that a person is shown."""

ledger_argument = click.argument("path", type=click.Path(path_type=Path))


@click.group(
    short_help="Verify, repair, compact, export, prune or rebuild a ledger, or attach to it.",
    epilog="Example:  batchup ledger verify holiday.yaml",
)
def ledger() -> None:
    """Look after a ledger: PATH is its manifest, or the ledger itself."""


ledger.add_command(attach)
ledger.add_command(prune)
ledger.add_command(rebuild)


@ledger.command(
    short_help="Tell what is in a ledger, and what is damaged.",
    epilog="Example:  batchup ledger verify holiday.yaml",
)
@ledger_argument
@common
def verify(path: Path, *, output: Output) -> int:
    """Read the whole ledger, and tell what is in it and what is damaged. Changes nothing.

    An unfinished end, which a crash leaves, is no damage: the next run drops it. Ends with 4 where lines are damaged.
    """
    from batchup.ledger.repair import verify as verify_ledger

    place = locate(path)
    report = verify_ledger(place)
    if output.json:
        print_json({"ledger": str(place), "whole": report.is_whole, **report._asdict()})
    elif not output.quiet:
        for line in _findings(place, report):
            click.echo(line)
    return EXIT_LEDGER if report.damaged else 0


@ledger.command(
    short_help="Go on without what is damaged.", epilog="Example:  batchup ledger repair holiday.yaml"
)
@ledger_argument
@common
def repair(path: Path, *, output: Output) -> int:
    """Leave out the ledger's damaged lines and its unfinished end. The old file is kept beside it."""
    from batchup.ledger.repair import repair as repair_ledger

    place = locate(path)
    report, kept = repair_ledger(place, datetime.now(UTC))
    if output.json:
        kept_as = None if kept is None else str(kept)
        print_json({"ledger": str(place), "repaired": kept is not None, "kept": kept_as, **report._asdict()})
    elif not output.quiet:
        for line in _findings(place, report):
            click.echo(line)
        if kept is not None:
            click.echo(f"  repaired  the old file is {escape(str(kept))}")
    return 0


@ledger.command(
    short_help="Leave out needless lines.", epilog="Example:  batchup ledger compact holiday.yaml"
)
@ledger_argument
@common
def compact(path: Path, *, output: Output) -> int:
    """Leave out the lines that later ones have made needless. Everything that was paid is kept.

    A run does this by itself when more than half of the lines are needless.
    """
    from batchup.ledger.compact import compact as compact_ledger
    from batchup.manifest.quantities import format_bytes

    place = locate(path)
    done = compact_ledger(place)
    if output.json:
        print_json({"ledger": str(place), **done._asdict()})
    elif not output.quiet:
        click.echo(
            f"{escape(str(place))}: {done.lines_before:,} lines before, {done.lines_after:,} after; "
            f"{format_bytes(done.bytes_before)} before, {format_bytes(done.bytes_after)} after"
        )
    return 0


@ledger.command(
    short_help="Print one row a task, as CSV or JSON.",
    epilog="Example:  batchup ledger export holiday.yaml --output holiday.csv",
)
@ledger_argument
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), help="By default csv; json with --json."
)
@click.option(
    "--output", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, not stdout."
)
@common
def export(path: Path, *, form: str | None, target: Path | None, output: Output) -> int:
    """Print one row a task: state, input, model, output, cost, attempts, error and more.

    May be asked while a run is going on. In CSV, names that a spreadsheet would compute get an apostrophe before them.
    """
    from batchup.cli.export import rows, write_csv, write_json
    from batchup.ledger import open_view
    from batchup.ledger.view import check, opened

    if output.json and form == "csv" and target is None:
        raise click.UsageError(
            "--json prints JSON and nothing else; leave out --format csv, or add --output FILE"
        )
    as_json = form == "json" or (form is None and output.json)
    place = locate(path)
    with opened(place) as file:
        check(place, file)
    _refuse_to_replace(target, path, place)
    # First to a place of our own, so that what goes wrong while the ledger is read leaves no half a table anywhere.
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as draft:
        with open_view(place) as view:
            number = (write_json if as_json else write_csv)(rows(view.replay(), view.read_line), draft)
        draft.seek(0)
        with _open(target) as file:
            shutil.copyfileobj(draft, file)
    if target is not None and output.json:
        print_json({"output": str(target), "tasks": number})
    elif target is not None and not output.quiet:
        click.echo(f"{escape(str(target))}: {count(number, 'task')}")
    return 0


def locate(path: Path) -> Path:
    """Return the ledger that *path* names: itself, if it is one by its contents, else its manifest's.

    Raises:
        ManifestError: It is neither a ledger nor a manifest that is right.
    """
    from batchup.ledger.format import HEAD_BYTES, format_of
    from batchup.ledger.view import is_damaged_start, opened
    from batchup.manifest import load

    if not path.is_file():
        return path if path.suffix == ".jsonl" else load(path).ledger_path
    with opened(path) as file:
        head = file.read(HEAD_BYTES)
        is_ledger = (head and format_of(head) is not None) or is_damaged_start(file)
    return path if is_ledger else load(path).ledger_path


def _findings(path: Path, report: "Report") -> Iterator[str]:
    from batchup.manifest.quantities import format_bytes

    yield f"{escape(str(path))}: {'damaged' if report.damaged else 'whole'}"
    groups = count(report.groups, "group")
    yield f"  {'lines':<9} {report.lines:,} in {groups}, {format_bytes(report.size_bytes)}"
    for kind, number in sorted(report.kinds.items(), key=lambda item: -item[1]):
        yield f"  {escape(kind):<9} {number:,}"
    if report.torn_bytes:
        yield f"  {'torn':<9} {report.torn_bytes:,} bytes at the end, left by a crash; the next run drops them"
    if report.damaged:
        shown = ", ".join(map(str, report.damaged[:MOST_LINES]))
        rest = len(report.damaged) - MOST_LINES
        more = f" and {rest:,} more" if rest > 0 else ""
        yield f"  {'damaged':<9} {'line' if len(report.damaged) == 1 else 'lines'} {shown}{more}"
        yield f"  {'next':<9} batchup ledger repair {escape(str(path))} goes on without them"


def _refuse_to_replace(target: Path | None, *sources: Path) -> None:
    """Refuse to write a table over what it is made from."""
    for source in sources:
        if target is not None and target.exists() and target.samefile(source):
            raise click.UsageError(
                f"--output {escape(str(target))} would replace what is exported; name another file"
            )


@contextmanager
def _open(target: Path | None) -> Iterator[TextIO]:
    if target is None:
        yield sys.stdout
        # Here, where a reader that has left is no failure, rather than at the interpreter's end.
        sys.stdout.flush()
        return
    try:
        with target.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise FatalError(f"{target}: cannot be written: {error.strerror}", stopped="disk") from error
