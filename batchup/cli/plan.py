"""`batchup plan`: what `run` would do, and what it would cost."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchup.cli import print_json, warn
from batchup.cli.options import Output, choosing, common, manifest_argument

if TYPE_CHECKING:
    from decimal import Decimal

    from batchup.plan import Choice, Plan

SHOWN = 40
"""Tasks that a person is shown without asking for more."""


@click.command(epilog="Example:  batchup plan holiday.yaml --json | jq '.tasks'")
@manifest_argument
@click.option("--all", "everything", is_flag=True, help=f"List every task, not only the first {SHOWN}.")
@choosing
@common
def plan(
    manifest: Path,
    *,
    everything: bool,
    choice: "Choice",
    concurrency: int | None,
    cap_usd: "Decimal | None",
    output: Output,
) -> int:
    """Show what `run MANIFEST` would do, task by task, with the reason and the price.

    The options that `run` has tell what it would do with them. Changes nothing, sends nothing, and may be asked while a run is going on.
    """
    from batchup.history import History
    from batchup.ledger import open_view
    from batchup.manifest import load
    from batchup.survey import survey

    job = load(manifest)
    with open_view(job.ledger_path) as view:
        history = History(view.read_line).fold(view.replay())
        made = survey(job, history, choice, datetime.now(UTC))
    warn(made.warnings)
    if output.json:
        print_json(_document(made, job.name))
    elif not output.quiet:
        from batchup.cli.show import plan_lines

        for line in plan_lines(made, job, None if everything else SHOWN):
            click.echo(line)
    return 0


def _document(plan: "Plan", job: str) -> dict[str, Any]:
    from batchup.history import State
    from batchup.plan import Action

    return {
        "job": job,
        "tasks": {
            "total": len(plan.steps),
            "to_run": plan.to_run,
            "done": plan.actions[Action.KEEP],
            "failed": plan.left[State.FAILED],
            "held": plan.left[State.HELD],
            "lost": plan.lost,
            "in_flight": plan.actions[Action.ATTACH],
            "skipped": plan.skipped.total(),
            "orphaned": plan.orphaned,
        },
        "skipped": dict(plan.skipped),
        "cost_usd": {"estimated": float(plan.to_pay_usd), "unpriced_tasks": plan.unpriced},
        "items": list(_items(plan)),
    }


def _items(plan: "Plan") -> Iterator[dict[str, Any]]:
    for step in plan.steps:
        yield {
            "input": step.task.source.label,
            "output": step.task.output,
            "model": step.task.model,
            "action": step.action,
            "reason": step.reason,
            "detail": step.detail,
            "cost": None if step.cost_usd is None else float(step.cost_usd),
        }
    for skipped in plan.left_out:
        yield {
            "input": skipped.label,
            "output": None,
            "model": None,
            "action": "skip",
            "reason": f"skipped: {skipped.reason}",
            "detail": skipped.detail,
            "cost": 0.0,
        }
