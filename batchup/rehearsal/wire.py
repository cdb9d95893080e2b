"""Wire: puts an answer, or a fault in its place, on a connection."""

import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
from aiohttp import web
from yarl import URL

from batchup.rehearsal.answers import Answer
from batchup.rehearsal.faults import Cut, Damaged, Elsewhere, Fault, Slow

PART_BYTES = 1 << 18
_SLOW_PARTS_PER_S = 20


@dataclass(frozen=True, slots=True)
class File:
    """A part of a file as an answer.

    Attributes:
        start: First byte, from 0.
        length: Bytes.
    """

    path: Path
    start: int
    length: int
    status: int
    headers: dict[str, str]


Content = Answer | File


async def send(request: web.Request, content: Content, fault: Fault | None) -> web.StreamResponse:
    """Answer *request* with *content*, as *fault* has it."""
    if isinstance(content, Answer):
        answer = _moved(content, fault.origin) if isinstance(fault, Elsewhere) else content
        body, status, headers = answer.body.encode(), answer.status, dict(answer.headers)
        length = len(body)
    else:
        body, status, headers, length = b"", content.status, content.headers, content.length
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = length
    # Who hangs up early has had enough: nothing is wrong here.
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        if request.method != "HEAD":
            chunks = _parts(content, fault) if isinstance(content, File) else _whole(body)
            await _write(request, response, chunks, length, fault)
        if isinstance(fault, Cut) and fault.when == "closing":
            await response.write_eof()
            cut(request, fault)
    return response


async def _write(
    request: web.Request,
    response: web.StreamResponse,
    chunks: AsyncIterator[bytes],
    length: int,
    fault: Fault | None,
) -> None:
    """Write a body: at its rate, and as far as it comes."""
    end = int(length * fault.at) if isinstance(fault, Cut) and fault.when == "during" else length
    sent = 0
    async for chunk in chunks:
        part = chunk[: end - sent]
        await paced(response.write, part, fault)
        sent += len(part)
        if sent >= end < length:
            break
    if isinstance(fault, Cut) and fault.when == "during":
        cut(request, fault)


async def paced(write: Callable[[bytes], Awaitable[None]], chunk: bytes, fault: Fault | None) -> None:
    """Call *write* with *chunk*, in small parts where it is to go slowly."""
    if not isinstance(fault, Slow):
        await write(chunk)
        return
    step = max(1, int(fault.bytes_per_s / _SLOW_PARTS_PER_S))
    for start in range(0, len(chunk), step):
        part = chunk[start : start + step]
        await write(part)
        await anyio.sleep(len(part) / fault.bytes_per_s)


def cut(request: web.Request, fault: Cut) -> None:
    """Close the connection; what has been written to it still arrives, unless it is reset."""
    transport = request.transport
    if transport is None:
        return
    if fault.reset:
        found = transport.get_extra_info("socket")
        # Closing with a linger of 0 seconds is what sends a reset.
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()


async def swallow(request: web.Request, part: float) -> None:
    """Read *part* of a request's body."""
    total = int((request.content_length or 0) * part)
    read = 0
    while read < total:
        chunk = await request.content.readany()
        if not chunk:
            return
        read += len(chunk)


async def received(request: web.Request, fault: Fault | None) -> AsyncIterator[bytes]:
    """Yield a request's body as it comes, slowly where *fault* says so."""
    async for chunk in request.content.iter_chunked(PART_BYTES):
        if isinstance(fault, Slow):
            await anyio.sleep(len(chunk) / fault.bytes_per_s)
        yield chunk


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _parts(content: File, fault: Fault | None) -> AsyncIterator[bytes]:
    with content.path.open("rb") as file:
        damaged_from = file.seek(0, 2) // 2 if isinstance(fault, Damaged) else None
        file.seek(content.start)
        at, left = content.start, content.length
        while left:
            chunk = file.read(min(PART_BYTES, left))
            if not chunk:
                return
            at, left = at + len(chunk), left - len(chunk)
            if damaged_from is not None:
                bad = min(len(chunk), max(0, at - damaged_from))
                chunk = chunk[: len(chunk) - bad] + bytes(bad)
            yield chunk


def _moved(answer: Answer, origin: str) -> Answer:
    """Return *answer* with every address in it at *origin*."""

    def moved(value: object) -> object:
        if isinstance(value, dict):
            return {name: moved(one) for name, one in value.items()}
        if isinstance(value, list):
            return [moved(one) for one in value]
        if isinstance(value, str) and value.startswith(("http://", "https://")):
            return f"{origin}{URL(value).raw_path_qs}"
        return value

    return Answer(answer.status, json.dumps(moved(json.loads(answer.body))), answer.headers)
