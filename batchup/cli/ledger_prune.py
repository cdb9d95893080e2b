"""`batchup ledger prune`: forgets orphans, but never what they cost."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli import print_json
from batchup.cli.options import Output, common
from batchup.terminal import count, escape

if TYPE_CHECKING:
    from batchup.prune import Pruned


@click.command(
    short_help="Forget tasks that the manifest no longer makes.",
    epilog="Example:  batchup ledger prune holiday.yaml",
)
@click.argument("path", type=click.Path(path_type=Path))
@common
def prune(path: Path, *, output: Output) -> int:
    """Forget orphans: the tasks that the manifest no longer made when it was run last. Their outputs stay.

    What they cost stays in the books, and counts for the budget. Those that are in flight or held, or that other tasks
    rest on, are kept. One that is forgotten and comes back is new work, to be paid for again.
    """
    from batchup.cli.ledger import locate
    from batchup.prune import prune as prune_ledger

    place = locate(path)
    done = prune_ledger(place, datetime.now(UTC))
    if output.json:
        print_json({"ledger": str(place), **{name: getattr(done, name) for name in done.__struct_fields__}})
    elif not output.quiet:
        for line in _lines(place, done):
            click.echo(escape(line))
    return 0


def _lines(place: Path, done: "Pruned") -> Iterator[str]:
    from batchup.manifest.quantities import format_usd

    yield f"{place}: {count(done.forgotten, 'orphan')} forgotten"
    if done.kept_usd:
        yield f"  {'cost':<9} {format_usd(done.kept_usd)} that they cost stays in the books"
    if done.unsettled:
        yield f"  {'kept':<9} {done.unsettled:,} in flight, held, or not settled with the account"
    if done.needed:
        yield f"  {'kept':<9} {done.needed:,} that other tasks rest on"
