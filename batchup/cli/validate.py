"""`batchup validate` and `batchup schema`: whether a manifest is right, and what a right one looks like."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchup.cli import EXIT_USAGE, print_json
from batchup.cli.options import Output, common, manifest_argument
from batchup.errors import ManifestError
from batchup.terminal import count, escape

if TYPE_CHECKING:
    from batchup.manifest import Manifest


@click.command(short_help="Check a manifest.", epilog="Example:  batchup validate holiday.yaml")
@manifest_argument
@common
def validate(manifest: Path, *, output: Output) -> int:
    """Check MANIFEST: its keys, values, models and parameters. Its inputs are not looked at.

    Every fault is told at once, with its line and column. Ends with 2 where there is one.
    """
    from batchup.manifest import load
    from batchup.survey import check_known
    from batchup.variants import variants

    try:
        job = load(manifest)
        check_known(job)
        # What each model takes alone was checked already; this is whether it takes them together.
        recipes = {one.recipe for several in variants(job).values() for one in several}
    except ManifestError as error:
        if not output.json:
            raise
        print_json({"valid": False, "faults": error.faults})
        return EXIT_USAGE
    if output.json:
        print_json({"valid": True, "faults": [], **_contents(job, len(recipes))})
    elif not output.quiet:
        click.echo(f"{escape(str(manifest))}: ok: {escape(_told(job, len(recipes)))}")
    return 0


def _contents(job: "Manifest", combinations: int) -> dict[str, Any]:
    return {
        "job": job.name,
        "inputs": len(job.inputs),
        "model": job.model,
        "rules": len(job.rules),
        "combinations": combinations,
        "output_dir": str(job.output_dir),
        "ledger": str(job.ledger_path),
    }


def _told(job: "Manifest", combinations: int) -> str:
    parts = [
        f"job {job.name}",
        count(len(job.inputs), "input item"),
        f"model {job.model}" if job.model else "no model but by rules",
    ]
    if job.rules:
        parts.append(count(len(job.rules), "rule"))
    if job.matrix is not None:
        parts.append(f"{count(combinations, 'combination')} of models and parameters")
    return ", ".join([*parts, f"outputs to {job.output_dir}"])


@click.command(
    short_help="Print the JSON Schema of a manifest.", epilog="Example:  batchup schema > batchup.schema.json"
)
@common
def schema(*, output: Output) -> int:  # noqa: ARG001 - it is JSON in any case
    """Print the JSON Schema of a manifest, for an editor to complete and check one as it is typed.

    With the YAML extension of VS Code, a manifest that begins with the line below is checked against it:

    \b
    # yaml-language-server: $schema=batchup.schema.json
    """  # noqa: D301 - a backspace is how click is told to keep lines
    from batchup.manifest import schema as manifest_schema

    print_json(manifest_schema())
    return 0
