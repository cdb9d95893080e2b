"""Control: how another process of the same user asks a run how it stands, and tells it what to do.

A run listens on loopback, on a port of its own, and writes port and token into a file that only its user may read. One
line of JSON is a command, and one is its answer. Whoever has no token gets no answer.
"""

import hmac
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from batchup.ledger.index import keep, state_folder

HOST = "127.0.0.1"
LINE_BYTES = 1 << 20
PATIENCE_S = 5.0
"""How long whoever has connected may take for his line, and a run for its answer."""

Deed = Literal[
    "state", "pause", "resume", "drain", "detach", "concurrency", "rate", "budget", "retry", "release"
]


class Command(msgspec.Struct, frozen=True):
    """What a run is asked to do.

    Attributes:
        do: ``state`` only asks. ``concurrency``, ``rate`` and ``budget`` set what *value* says, ``retry`` runs a failed
            task again, and ``release`` submits a held one again.
        value: As a manifest would say it; empty for no limit.
        task: Id of a task.
    """

    do: Deed
    value: str = ""
    task: str = ""


class Flying(msgspec.Struct, frozen=True):
    """A task that is under way: for how many seconds, and how much of it is done, 0.0 to 1.0."""

    id: str
    input: str
    model: str
    since_s: float
    part: float


class Live(msgspec.Struct, frozen=True):
    """How a run stands.

    Attributes:
        stage: ``run``, ``paused``, ``drain`` (nothing more is begun) or ``detach``.
        why: What it waits for; empty where it does not.
        concurrency: What the user allows at once.
        allowed: What the account takes at once, as far as is known; at most *concurrency*.
        rate: ``10/s``; empty for no limit.
        budget_usd: Decimal; None for no limit.
        waiting: Tasks that wait to be begun.
        refused: Submissions so far that were told to wait.
    """

    job: str
    pid: int
    stage: Literal["run", "paused", "drain", "detach"]
    why: str
    concurrency: int
    allowed: int
    rate: str
    budget_usd: str | None
    in_flight: list[Flying]
    waiting: int
    refused: int


class Reply(msgspec.Struct, frozen=True):
    """What a run answers: how it stands after the command, and in words what was wrong with that, if anything was."""

    error: str = ""
    live: Live | None = None


class Announced(msgspec.Struct, frozen=True):
    """A run that can be asked. *manifest* and *ledger* are absolute paths; *token* is a secret."""

    job: str
    pid: int
    manifest: str
    ledger: str
    started_at: datetime
    port: int
    token: str


class _Line(msgspec.Struct, frozen=True):
    token: str
    command: Command


Answer = Callable[[Command], Reply]

_HUNG_UP = (
    OSError,
    TimeoutError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.DelimiterNotFound,
    anyio.EndOfStream,
    anyio.IncompleteRead,
)


@asynccontextmanager
async def open_control(
    job: str, manifest: Path, ledger: Path, started_at: datetime, answer: Answer
) -> AsyncIterator[None]:
    """Let a run be asked while the block lasts. That is a convenience: where it cannot be, the run goes on without.

    Args:
        job: Its name.
        manifest: Absolute, like *ledger*.
        ledger: By which others find what has happened.
        started_at: Aware.
        answer: Does what a command says. Returns at once.
    """
    try:
        listener = await anyio.create_tcp_listener(local_host=HOST)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - this is no Django
        announced = Announced(
            job, os.getpid(), str(manifest), str(ledger), started_at, port, secrets.token_urlsafe(32)
        )
        file = _folder() / f"{os.getpid()}-{port}.json"
        keep(file, msgspec.json.encode(announced))
    except (OSError, RuntimeError):
        yield
        return

    async def serve(stream: SocketStream) -> None:
        with suppress(*_HUNG_UP):
            async with stream:
                await _serve(stream, announced.token, answer)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, serve)
            yield
            group.cancel_scope.cancel()
    finally:
        file.unlink(missing_ok=True)
        with anyio.CancelScope(shield=True):
            await listener.aclose()


async def _serve(stream: SocketStream, token: str, answer: Answer) -> None:
    lines = BufferedByteReceiveStream(stream)
    while True:
        with anyio.fail_after(PATIENCE_S):
            data = await lines.receive_until(b"\n", LINE_BYTES)
        try:
            line = msgspec.json.decode(data, type=_Line)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            await stream.send(msgspec.json.encode(Reply(f"no such command: {error}")) + b"\n")
            return
        if not hmac.compare_digest(line.token.encode(), token.encode()):
            return
        await stream.send(msgspec.json.encode(answer(line.command)) + b"\n")


def runs() -> list[Announced]:
    """Return the runs of this user on this machine, the latest first. Blocks for a moment."""
    return sorted(_living(), key=lambda one: one.started_at, reverse=True)


async def ask(announced: Announced, command: Command) -> Reply:
    """Ask a run, and return what it answers; a run that has ended answers with an error."""
    gone = Reply("the run has ended")
    line = msgspec.json.encode(_Line(announced.token, command)) + b"\n"
    try:
        with anyio.fail_after(PATIENCE_S):
            async with await anyio.connect_tcp(HOST, announced.port) as stream:
                await stream.send(line)
                data = await BufferedByteReceiveStream(stream).receive_until(b"\n", LINE_BYTES)
                return msgspec.json.decode(data, type=Reply)
    except _HUNG_UP:
        return gone


def _living() -> Iterator[Announced]:
    try:
        files = list(_folder().glob("*.json"))
    except (OSError, RuntimeError):
        return
    for file in files:
        try:
            one = msgspec.json.decode(file.read_bytes(), type=Announced)
            with closing(socket.create_connection((HOST, one.port), timeout=1)):
                yield one
        except ConnectionRefusedError:
            with suppress(OSError):
                file.unlink()  # of a run that was killed
        except (OSError, msgspec.DecodeError):
            pass  # it has just ended, is busy, or of another version


def _folder() -> Path:
    return state_folder() / "runs"
