"""`batchup doctor`: what works, and what to do about what does not."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli import EXIT_FAILED, print_json
from batchup.cli.options import Output, common
from batchup.terminal import escape

if TYPE_CHECKING:
    from batchup.checkup import Finding
    from batchup.manifest import Manifest

_SIGNS = {"ok": "ok", "off": "-", "bad": "NO"}


@click.command(
    short_help="Tell what works here, and what to do about what does not.",
    epilog="Example:  batchup doctor holiday.yaml",
)
@click.argument("manifest", type=click.Path(path_type=Path), required=False)
@common
def doctor(manifest: Path | None, *, output: Output) -> int:
    """Look at the key, the network, the disks and the optional parts; with MANIFEST at what that needs.

    Sends nothing that costs, shows no secret, and leaves nothing behind. Ends with 1 where something does not work.
    """
    import anyio

    from batchup.manifest import load

    job = None if manifest is None else load(manifest)
    findings = anyio.run(_found, job)
    is_well = all(one.standing != "bad" for one in findings)
    if output.json:
        print_json({"ok": is_well, "findings": findings})
    elif not output.quiet or not is_well:
        for line in _lines(findings, all_of_them=not output.quiet):
            click.echo(escape(line))
    return 0 if is_well else EXIT_FAILED


async def _found(job: "Manifest | None") -> "list[Finding]":
    from anyio import to_thread

    from batchup import checkup
    from batchup.clock import SystemClock

    findings = list(checkup.machine())
    findings += await to_thread.run_sync(lambda: list(checkup.disks(job)))
    if job is not None:
        findings += await to_thread.run_sync(lambda: list(checkup.ledger(job)))
    is_needed = job is not None and checkup.uses_fal(job)
    findings += [one async for one in checkup.account(os.environ, SystemClock(), is_needed=is_needed)]
    if job is not None:
        findings += checkup.plugged_in(job, os.environ)
    return [*findings, *checkup.extras(job)]


def _lines(findings: "list[Finding]", *, all_of_them: bool) -> Iterator[str]:
    for one in findings:
        if all_of_them or one.standing == "bad":
            yield f"{_SIGNS[one.standing]:<3} {one.part:<8} {one.found}"
            if one.advice and one.standing != "ok":
                yield f"{'':<12} {one.advice}"
