"""Summaries and plans as text."""

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from shutil import disk_usage

from batchup.manifest import Manifest
from batchup.manifest.quantities import format_bytes, format_duration, format_usd
from batchup.plan import Action, Plan, Step
from batchup.summary import Summary
from batchup.terminal import columns, count, escape, program, table

EXAMPLES = 3

STOPPED = {
    "budget": "stopped by the budget",
    "window": "stopped by the window",
    "limit": "stopped by --limit",
    "failures": "stopped by too many failures in a row",
    "interrupted": "interrupted",
    "account": "stopped by the account",
    "disk": "stopped by the disk",
}


def summary_lines(
    summary: Summary, manifest: Manifest, plan: Plan | None = None, now: str = "", *, advice: bool = True
) -> Iterator[str]:
    """Yield the lines that tell how a job stands, and what to do next.

    Args:
        summary: Of the ledger.
        manifest: Of the job.
        plan: Of the run that has just ended; None outside of one.
        now: What the job is doing, where that is not that it has ended.
        advice: Whether to say what to do next.
    """
    tasks = summary.tasks
    idle = plan is not None and not plan.to_run and not summary.stopped
    took = f"in {format_duration(summary.elapsed_s)}"
    yield _headline(summary, now or ("nothing to do" if idle else took))
    for reason, number in summary.skipped.items():
        yield _row("skipped", f"{number:,}  {reason}")
    for kind, number in summary.failures.items():
        yield _row("failed", f"{number:,}  {kind}")
    for failure in summary.failed:
        yield _row("", f"   {failure.input}: {failure.message}")
    if tasks.failed > len(summary.failed):
        yield _row(
            "", f"   and {tasks.failed - len(summary.failed):,} more; {program()} ledger export has all"
        )
    if summary.cost_usd.charged or summary.cost_usd.estimated:
        yield _row("cost", _cost(summary))
    if plan is not None and plan.orphaned:
        yield _row("orphaned", f"{plan.orphaned:,}  no longer made by the manifest; their outputs stay")
    yield _row("outputs", _place(manifest.output_dir))
    yield _row("ledger", _place(manifest.ledger_path))
    if now.startswith("running") or not advice:
        return
    if tasks.failed:
        yield _row("next", f"{program()} explain {manifest.file} FILE")
        yield _row("", f"{program()} run {manifest.file} --retry-failed")
    elif tasks.pending:
        yield _row("next", f"{program()} run {manifest.file}")


def _headline(summary: Summary, time: str) -> str:
    tasks = summary.tasks
    parts = [f"{tasks.done:,} of {count(tasks.total, 'task')} done"]
    for number, word in (
        (tasks.failed, "failed"),
        (tasks.held, "held"),
        (tasks.in_flight, "in flight"),
        (tasks.pending, "pending"),
        (tasks.orphaned, "orphaned"),
    ):
        if number:
            parts.append(f"{number:,} {word}")
    stopped = f", {STOPPED[summary.stopped]}" if summary.stopped else ""
    return f"{summary.job}: {', '.join(parts)} ({time}{stopped})"


def _cost(summary: Summary) -> str:
    cost = summary.cost_usd
    text = f"{format_usd(Decimal(str(cost.charged)))} charged, {format_usd(Decimal(str(cost.estimated)))} estimated"
    return text if cost.budget is None else f"{text}, budget {format_usd(Decimal(str(cost.budget)))}"


def _row(head: str, text: str) -> str:
    return f"  {head:<9} {escape(text)}"


def _place(path: Path) -> str:
    """Return *path* as a person may type it, ``~`` for the home folder."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - where there is no home, Path raises and this keeps "~"
    # In a container the home folder may be the root, and "~" would only hide it.
    if home != Path(home.anchor) and path.is_relative_to(home):
        return str("~" / path.relative_to(home))
    return str(path)


def plan_lines(plan: Plan, manifest: Manifest, most: int | None) -> Iterator[str]:
    """Yield a table of the tasks, the first *most* of them, and totals."""
    shown = [step for step in plan.steps if most is None or step.action is not Action.KEEP or step.detail]
    rows = [_cells(step) for step in shown[:most]]
    if rows:
        yield from table(rows, ["input", "output", "model", "what", "price"], columns())
        if len(rows) < len(shown):
            yield f"… and {len(shown) - len(rows):,} more; --all shows every task"
        yield ""
    yield f"{manifest.name}: {count(len(plan.steps), 'task')}, {plan.to_run:,} to run, " + ", ".join(
        f"{number:,} {word}" for number, word in _others(plan)
    )
    yield from _skipped(plan, most is None)
    for model, (number, price) in sorted(plan.models.items()):
        yield _row("model", f"{model}: {count(number, 'task')}, {format_usd(price) if price else 'free'}")
    if plan.unpriced:
        yield _row("price", f"unknown beforehand for {count(plan.unpriced, 'task')}")
    if plan.to_run:
        unknown = f" and what {count(plan.urls, 'URL')} will need" if plan.urls else ""
        yield _row(
            "disk",
            f"about {format_bytes(plan.output_bytes)}{unknown} needed, {format_bytes(free_bytes(manifest))} free",
        )


def _skipped(plan: Plan, everything: bool) -> Iterator[str]:  # noqa: FBT001 - called once, above
    """Yield what is left out by reason, each with some of its names."""
    names: dict[str, list[str]] = {}
    for skipped in plan.left_out:
        listed = names.setdefault(skipped.reason, [])
        if everything or len(listed) < EXAMPLES:
            listed.append(skipped.label + (f": {skipped.detail}" if skipped.detail else ""))
    for reason, number in sorted(plan.skipped.items()):
        more = f", and {number - EXAMPLES:,} more" if number > EXAMPLES and not everything else ""
        if everything:
            yield _row("skipped", f"{number:,}  {reason}")
            yield from (_row("", f"   {name}") for name in names[reason])
        else:
            yield _row("skipped", f"{number:,}  {reason}: {', '.join(names[reason])}{more}")


def _others(plan: Plan) -> Iterator[tuple[int, str]]:
    yield plan.actions[Action.KEEP], "done"
    for action, word in (
        (Action.LEAVE, "waiting for you: failed, held or lost"),
        (Action.ATTACH, "in flight"),
        (Action.LATER, "for later"),
    ):
        if plan.actions[action]:
            yield plan.actions[action], word
    if plan.orphaned:
        yield plan.orphaned, "orphaned"


def _cells(step: Step) -> list[str]:
    what = step.reason if not step.detail else f"{step.reason}: {step.detail}"
    price = "unknown" if step.cost_usd is None else format_usd(step.cost_usd) if step.cost_usd else "free"
    return [step.task.source.label, step.task.output, step.task.model, what, price]


def free_bytes(manifest: Manifest) -> int:
    """Return what is free on the disk of the outputs."""
    folder = manifest.output_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return disk_usage(folder).free
