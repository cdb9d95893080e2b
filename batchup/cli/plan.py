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

    from batchup.cli.outlook import Outlook
    from batchup.coverage import Coverage
    from batchup.history import History
    from batchup.plan import Choice, Plan

SHOWN = 40
"""Tasks that a person is shown without asking for more."""


@click.command(
    short_help="Show what a run would do, task by task, and what it costs.",
    epilog="Example:  batchup plan holiday.yaml --json | jq '.tasks'",
)
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
    from batchup.cli.outlook import look_ahead
    from batchup.history import History
    from batchup.ledger import open_view
    from batchup.manifest import load
    from batchup.survey import survey
    from batchup.ticker import heeded, reading, ticking

    job, now = load(manifest), datetime.now(UTC)
    with ticking(show=not output.quiet) as tell, open_view(job.ledger_path) as view:
        history = History(view.read_line).fold(heeded(view.replay(), reading(job.ledger_path, tell)))
        made = survey(job, history, choice, now, tell)
    outlook = look_ahead(made, job, history, now, concurrency=concurrency, cap_usd=cap_usd)
    warn(made.warnings)
    if output.json:
        print_json(_document(made, job.name, history, outlook))
    elif not output.quiet:
        from batchup.cli.plan_text import plan_lines

        for line in plan_lines(made, job, history, outlook, None if everything else SHOWN):
            click.echo(line)
    return 0


def _document(plan: "Plan", job: str, history: "History", outlook: "Outlook") -> dict[str, Any]:
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
            "later": plan.actions[Action.LATER],
            "skipped": plan.skipped.total(),
            "orphaned": plan.orphaned,
        },
        "skipped": dict(plan.skipped),
        "cost_usd": {"estimated": float(plan.to_pay_usd), "unpriced_tasks": plan.unpriced},
        "budget": _budget(outlook.coverage),
        "time": {
            "expected_s": outlook.forecast.takes_s,
            "unknown_tasks": outlook.forecast.unknown,
            "at_a_time": dict(outlook.forecast.slots),
            "held_by_rate": outlook.forecast.held_by_rate,
        },
        "window": outlook.window or None,
        "models": {
            model: {"tasks": tasks, "cost_usd": float(usd), "expected_s": _takes_s(outlook, model)}
            for model, (tasks, usd) in sorted(plan.models.items())
        },
        "items": list(_items(plan, history, outlook)),
    }


def _budget(coverage: "Coverage") -> dict[str, Any] | None:
    run = coverage.run
    if run is None and not coverage.models:
        return None
    return {
        "cap_usd": None if run is None else float(run.cap_usd),
        "left_usd": None if run is None else float(run.left_usd),
        "covers": coverage.covers,
        "of": coverage.of,
        "models": {
            model: {
                "cap_usd": float(one.cap_usd),
                "left_usd": float(one.left_usd),
                "covers": one.covers,
                "of": one.of,
            }
            for model, one in sorted(coverage.models.items())
        },
    }


def _takes_s(outlook: "Outlook", model: str) -> float | None:
    spell = outlook.forecast.models.get(model)
    return spell.takes_s if spell is not None and spell.unknown < spell.tasks else None


def _items(plan: "Plan", history: "History", outlook: "Outlook") -> Iterator[dict[str, Any]]:
    from batchup.forecast import expected_s
    from batchup.plan import Action

    for number, step in enumerate(plan.steps):
        runs = step.action is Action.RUN
        yield {
            "input": step.task.source.label,
            "output": step.task.output,
            "model": step.task.model,
            "action": step.action,
            "reason": step.reason,
            "detail": outlook.coverage.waiting.get(number, step.detail),
            "cost": None if step.cost_usd is None else float(step.cost_usd),
            "expected_s": expected_s(history.experience, step.task) if runs else None,
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
            "expected_s": None,
        }
