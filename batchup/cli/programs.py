"""A manifest's program: asking before it is run for the first time, and running it."""

import sys
from typing import TYPE_CHECKING

import click

from batchup import finish
from batchup.errors import Fault, ManifestError
from batchup.terminal import escape

if TYPE_CHECKING:
    from batchup.manifest import Manifest
    from batchup.run import Outcome


def check_program(manifest: "Manifest", *, allow: bool) -> None:
    """Return if the program of ``on_finish:``, if there is one, may be run when the run has ended.

    On a terminal its user is asked once, and the answer remembered until the command changes.

    Args:
        manifest: Of the job.
        allow: Whether the command line says so.

    Raises:
        ManifestError: It may not, or it is not there.
    """
    if not manifest.on_finish:
        return
    missing = finish.fault(manifest)
    if missing is not None:
        raise ManifestError([missing])
    if allow or finish.is_agreed(manifest):
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ManifestError([_fault(manifest, "was never agreed to")])
    click.echo(
        f"When the run has ended, the manifest runs this program in {escape(str(manifest.folder))}:", err=True
    )
    click.echo(f"  {finish.shown(manifest)}", err=True)
    click.echo("It may do whatever you may do. It is not asked again until the command changes.", err=True)
    if not click.confirm("Is that all right?", default=False, err=True):
        raise ManifestError([_fault(manifest, "was not agreed to")])
    try:
        finish.agree(manifest)
    except (OSError, RuntimeError) as error:
        click.echo(escape(f"warning: that cannot be remembered: {error}"), err=True)


def run_program(manifest: "Manifest", outcome: "Outcome") -> None:
    """Run the manifest's program, if there is one, after a run that came to its end or was stopped by a limit."""
    if not manifest.on_finish or outcome.summary is None:
        return
    if outcome.signum is not None:
        click.echo(f"on_finish ({finish.shown(manifest)}) was not run: the run was interrupted", err=True)
        return
    finish.run(manifest, outcome.summary, lambda text: click.echo(escape(text), err=True))


def _fault(manifest: "Manifest", why: str) -> Fault:
    message = (
        f"this program {why}: {finish.shown(manifest)}; nothing was run. Run once on a terminal and agree, or give "
        "--allow-programs, or leave on_finish out"
    )
    return manifest.fault(("on_finish",), message)
