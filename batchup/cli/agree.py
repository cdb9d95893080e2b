"""Asking before money is spent."""

import signal
import sys
from collections.abc import Callable

import click

from batchup.coverage import Coverage
from batchup.history import History
from batchup.manifest.quantities import format_usd
from batchup.plan import Plan
from batchup.quote import total_usd
from batchup.terminal import count


def agrees(plan: Plan, history: History, covered: Callable[[], Coverage], *, yes: bool) -> bool:
    """Return whether a plan may be run: free ones always, others as they were agreed to.

    On a terminal a person is asked before the job costs more than was last agreed to, and whenever inputs that are
    done would be paid again. Elsewhere nobody is asked; paying again needs --yes.

    Args:
        plan: What would be run.
        history: That it was made from.
        covered: Returns how far the budgets reach; called where somebody is asked.
        yes: Whether everything is agreed to.
    """
    if yes or not (plan.to_pay_usd or plan.unpriced):
        return True
    again = (
        f"{count(plan.again, 'input')} that {'is' if plan.again == 1 else 'are'} done would be paid for again"
    )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        if plan.again:
            click.echo(
                f"{again}: {format_usd(plan.again_usd)}; --yes agrees to that, `plan` shows which", err=True
            )
        return not plan.again
    total = total_usd(plan, history)
    if not plan.again and not plan.unpriced and total <= history.agreed_usd:
        return True
    return _ask(plan, covered(), again if plan.again else "")


def priced(plan: Plan, coverage: Coverage) -> str:
    """Return what a plan costs, and how much of that the budgets let it spend, as a sentence."""
    unknown = f" and {count(plan.unpriced, 'task')} of unknown price" if plan.unpriced else ""
    whole = f"{count(plan.to_run, 'task')} to run for {format_usd(plan.to_pay_usd)}{unknown}"
    return f"{whole}{reach(coverage)}."


def reach(coverage: Coverage) -> str:
    """Return how far the budgets reach, as the end of a sentence; empty where that is all the way."""
    if coverage.covers == coverage.of:
        return ""
    if not coverage.covers:
        return "; the budget covers none of them"
    return f"; the budget covers {coverage.covers:,} of them, for {format_usd(coverage.usd)}"


def _ask(plan: Plan, coverage: Coverage, again: str) -> bool:
    click.echo(priced(plan, coverage), err=True)
    if again:
        click.echo(f"Of these, {again}, for {format_usd(plan.again_usd)}.", err=True)
    # The run listens to Ctrl-C itself by now; here it is to end the question.
    listening = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm("Go on?", default=False, err=True)
    except click.Abort:
        return False
    finally:
        signal.signal(signal.SIGINT, listening)
