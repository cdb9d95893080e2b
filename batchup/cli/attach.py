"""`batchup ledger attach`: tells the ledger which request a held task became, so that the next run collects it."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchup.cli import print_json
from batchup.cli.options import Output, common, manifest_argument
from batchup.errors import GoneError, RejectedError, TaskError
from batchup.terminal import escape

if TYPE_CHECKING:
    from batchup.cli.inquiry import Gone
    from batchup.events import Submitting
    from batchup.history import History
    from batchup.ledger import Ledger
    from batchup.manifest import Manifest
    from batchup.providers.fal.account import Account


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a person wants attached.

    Attributes:
        task: First digits of a task's id; empty where FILE has only one that is held.
    """

    file: str
    request_id: str
    task: str


@click.command(
    short_help="Tell which request a held task became.",
    epilog="Example:  batchup ledger attach holiday.yaml IMG_0042.jpg 764cabcf-b745-4b3e-ae38-1200304cf45b",
)
@manifest_argument
@click.argument("file")
@click.argument("request_id")
@click.option(
    "--task", default="", metavar="ID", help="Which of FILE's held tasks, by its id's first digits."
)
@common
def attach(manifest: Path, file: str, request_id: str, *, task: str, output: Output) -> int:
    """Tell the ledger of MANIFEST that FILE's held task is the request REQUEST_ID: the next run collects it, unpaid.

    fal's dashboard lists an account's requests with their ids. As far as fal's history tells, it is made sure that the
    request was sent with the task's own input and parameters.
    """
    import anyio

    from batchup.manifest import load

    job = load(manifest)
    found, told = anyio.run(_attached, job, _Asked(file, request_id, task))
    if output.json:
        print_json({"task": found.seen.id, "input": found.label, "request_id": request_id, "status": told})
    elif not output.quiet:
        click.echo(escape(f"{found.label}: attached to {request_id} ({told}); the next run collects it"))
    return 0


async def _attached(job: "Manifest", asked: _Asked) -> "tuple[Gone, str]":
    from anyio import to_thread

    from batchup import events
    from batchup.clock import SystemClock
    from batchup.history import History
    from batchup.ledger import open_ledger
    from batchup.models import FAL
    from batchup.plan import provider_of
    from batchup.providers.fal.account import open_account

    clock = SystemClock()
    async with open_ledger(job.ledger_path, create=False) as ledger:
        history = await to_thread.run_sync(lambda: History(ledger.read_line).fold(ledger.replay()))
        found = _choose(asked, job, history)
        if provider_of(found.seen.model) != FAL:
            raise click.UsageError(
                escape(
                    f"{found.label} is a task of {found.seen.model}, and only requests to fal can be attached"
                )
            )
        sent = await to_thread.run_sync(_submission, ledger, found, asked.request_id)
        async with open_account(os.environ, connect_s=job.timeouts.connect_s, clock=clock) as account:
            try:
                ticket = account.queue.ticket(sent.endpoint, asked.request_id)
            except RejectedError as error:
                raise click.UsageError(escape(str(error))) from error
            await _check(account, sent, asked.request_id)
            told = await _status(account, ticket)
        await ledger.append(
            events.Submitted(
                id=found.seen.id,
                attempt=sent.attempt,
                request_id=ticket.request_id,
                ticket=ticket.data,
                at=clock.utc(),
            )
        )
    return found, told


def _choose(asked: _Asked, job: "Manifest", history: "History") -> "Gone":
    """Return the one task that is meant.

    Raises:
        click.UsageError: There is none, or it is none of those that may have been paid and nobody knows, or there are
            several.
    """
    from batchup.cli.inquiry import look_up
    from batchup.history import State
    from batchup.inputs import Skipped
    from batchup.plan import Plan, Step
    from batchup.spool import Spool

    # By the ledger alone: the input itself may be gone, and what was paid for it is to be had all the same.
    every = look_up(asked.file, job, Plan(Spool(Step), Spool(Skipped), Counter()), history).gone
    tasks = [one for one in every if one.seen.id.startswith(asked.task)]
    held = [one for one in tasks if one.record.state in {State.HELD, State.SUBMITTING}]
    if len(held) == 1:
        return held[0]
    file = escape(asked.file)
    if held:
        raise click.UsageError(f"{file} has {len(held)} held tasks; choose by --task ID:\n{_listed(held)}")
    if not tasks:
        raise click.UsageError(f"{file} has no task {escape(asked.task)}; there are:\n{_listed(every)}")
    raise click.UsageError(
        f"{file}: nothing of it is held, so there is nothing to attach to:\n{_listed(tasks)}"
    )


def _listed(tasks: "Iterable[Gone]") -> str:
    return "\n".join(
        escape(f"  {one.seen.id[:8]}  {one.record.state.name.lower()}  {one.seen.model} → {one.seen.output}")
        for one in tasks
    )


def _submission(ledger: "Ledger", found: "Gone", request_id: str) -> "Submitting":
    """Return the task's last submission.

    Raises:
        click.UsageError: The request is another task's.
    """
    from batchup import events

    sent: events.Submitting | None = None
    for _, line in ledger.replay():
        if not line.startswith(b'{"event":"submitt'):
            continue
        event = events.decode(line)
        if isinstance(event, events.Submitting) and event.id == found.seen.id:
            sent = event
        elif (
            isinstance(event, events.Submitted)
            and event.request_id == request_id
            and event.id != found.seen.id
        ):
            raise click.UsageError(
                f"{escape(request_id)} is the request of another task of this ledger, {event.id[:8]}"
            )
    if sent is None:
        raise click.UsageError(f"{escape(found.label)}: the ledger does not say what was submitted for it")
    return sent


async def _check(account: "Account", sent: "Submitting", request_id: str) -> None:
    """Make sure, as far as the history tells, that the request is what was submitted.

    Raises:
        click.UsageError: It is something else.
    """
    from batchup.providers.fal.platform import DELAY, SKEW, PlatformUnavailable

    try:
        async for past in account.platform.requests(sent.endpoint, sent.at - SKEW, sent.at + SKEW + DELAY):
            if past.request_id == request_id and past.json_input is not None:
                wrong = _differing(sent.body, past.json_input)
                if wrong:
                    raise click.UsageError(
                        f"{request_id} was sent with another {', '.join(map(escape, wrong))}"
                    )
                return
    except PlatformUnavailable:
        return


def _differing(body: Mapping[str, Any], other: Any) -> list[str]:
    """Return the names of those parameters that differ."""
    if not isinstance(other, Mapping):
        return ["body"]
    return [name for name in sorted({*body, *other}) if body.get(name) != other.get(name)]


async def _status(account: "Account", ticket: Any) -> str:
    """Return how the request stands, in words. That nobody can tell is no reason not to try it."""
    try:
        status = await account.queue.status(ticket)
    except GoneError:
        return "fal does not know it, or no longer"
    except TaskError as error:
        return f"not known yet: {error}"
    return {"IN_QUEUE": "queued", "IN_PROGRESS": "running", "COMPLETED": "finished"}[status.state]
