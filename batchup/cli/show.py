"""Summaries as text."""

import os
import shlex
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from batchup.manifest import Manifest
from batchup.manifest.quantities import format_duration, format_usd
from batchup.plan import Plan
from batchup.summary import Summary
from batchup.terminal import count, program, prose, row

STOPPED = {
    "budget": "stopped by the budget",
    "window": "stopped by the window",
    "limit": "stopped by --limit or --sample",
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
        yield prose("skipped", f"{number:,}  {reason}")
    for kind, number in summary.failures.items():
        yield prose("failed", f"{number:,}  {kind}")
    for failure in summary.failed:
        yield prose("", f"   {failure.input}: {failure.message}")
    if tasks.failed > len(summary.failed):
        yield row(
            "",
            f"   and {tasks.failed - len(summary.failed):,} more; {program()} ledger export {_file(manifest)} has all",
        )
    if summary.cost_usd.charged or summary.cost_usd.estimated:
        yield prose("cost", _cost(summary))
    if plan is not None and plan.unpriced and summary.stopped == "budget":
        unknown = count(plan.unpriced, "task")
        yield prose(
            "price",
            f"unknown beforehand for {unknown}: not begun under a budget; prices: in the manifest tells it",
        )
    if plan is not None and plan.orphaned:
        yield prose("orphaned", f"{plan.orphaned:,}  no longer made by the manifest; their outputs stay")
    yield row("outputs", _place(manifest.output_dir))
    yield row("ledger", _place(manifest.ledger_path))
    if now.startswith("running") or not advice:
        return
    for number, command in enumerate(_advice(summary, manifest)):
        yield row("" if number else "next", command)


def _advice(summary: Summary, manifest: Manifest) -> Iterator[str]:
    """Yield the commands that lead on; a run that met its budget would only meet it again."""
    tasks, run = summary.tasks, f"{program()} run {_file(manifest)}"
    if tasks.failed or tasks.held:
        yield f"{program()} explain {_file(manifest)} FILE"
    if tasks.failed:
        yield f"{run} --retry-failed"
    if tasks.pending and summary.stopped == "budget":
        yield f"{run} --budget AMOUNT"
    elif (tasks.in_flight or tasks.pending) and not tasks.failed:
        yield run


def _file(manifest: Manifest) -> str:
    return shlex.quote(str(manifest.file))


def _headline(summary: Summary, time: str) -> str:
    stopped = f", {STOPPED[summary.stopped]}" if summary.stopped else ""
    return f"{summary.job}: {summary.tasks.words('orphaned')} ({time}{stopped})"


def _cost(summary: Summary) -> str:
    cost = summary.cost_usd
    text = f"{format_usd(Decimal(str(cost.charged)))} charged, {format_usd(Decimal(str(cost.estimated)))} estimated"
    if cost.reserved:
        text += f", {format_usd(Decimal(str(cost.reserved)))} reserved"
    return text if cost.budget is None else f"{text}, budget {format_usd(Decimal(str(cost.budget)))}"


def _place(path: Path) -> str:
    """Return *path* as a person may type it, ``~`` for the home folder."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - where there is no home, Path raises and this keeps "~"
    # In a container the home folder may be the root, and "~" would only hide it.
    if home != Path(home.anchor) and path.is_relative_to(home):
        return str("~" / path.relative_to(home))
    return str(path)
