"""Events to fill ledgers with, and processes that use one."""

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from batchup.events import (
    Audited,
    Done,
    Event,
    Failed,
    Held,
    Orphaned,
    Result,
    Retried,
    Run,
    Seen,
    Stopped,
    Submitted,
    Submitting,
    Uploaded,
    encode,
)
from batchup.ledger import format as ledger_format

AT = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
RUN = Run(format=1, job="holiday", manifest="", version="1", host="h", pid=7, at=AT)


def task_id(number: int) -> str:
    return f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC834 % (1 << 128):032x}"


def run(job: str = "holiday") -> Run:
    return Run(format=1, job=job, manifest="m", version="1", host="h", pid=7, at=AT)


def seen(number: int, output: str = "a.jpg") -> Seen:
    return Seen(id=task_id(number), model="local/lanczos", output=output, at=AT)


def orphaned(number: int) -> Orphaned:
    return Orphaned(id=task_id(number), at=AT)


def done(number: int, charged: str | None = "0") -> Done:
    amount = None if charged is None else Decimal(charged)
    return Done(
        id=task_id(number),
        output="a.jpg",
        size_bytes=1,
        mtime_ns=1,
        sha256="",
        width=1,
        height=1,
        charged_usd=amount,
        at=AT,
    )


def retried(number: int, attempt: int = 1) -> Retried:
    return Retried(id=task_id(number), attempt=attempt, kind="k", message="m", wait_s=1.0, at=AT)


def failed(number: int, attempt: int = 1) -> Failed:
    return Failed(id=task_id(number), attempt=attempt, kind="k", message="m", at=AT)


def submitting(number: int, attempt: int = 1) -> Submitting:
    return Submitting(
        id=task_id(number), attempt=attempt, endpoint="e", body={}, reserved_usd=Decimal("0.03"), at=AT
    )


def submitted(number: int, attempt: int = 1) -> Submitted:
    return Submitted(id=task_id(number), attempt=attempt, request_id=f"r-{number}-{attempt}", at=AT)


def result(number: int, attempt: int = 1) -> Result:
    return Result(id=task_id(number), attempt=attempt, urls=("u",), charged_usd=Decimal("0.02"), at=AT)


def held(number: int) -> Held:
    return Held(id=task_id(number), attempt=1, message="m", reserved_usd=Decimal("0.03"), at=AT)


def audited(number: int, attempt: int = 1, charged: str = "0.02") -> Audited:
    return Audited(id=task_id(number), attempt=attempt, charged_usd=Decimal(charged), at=AT)


def uploaded(sha256: str, url: str = "u") -> Uploaded:
    return Uploaded(sha256=sha256, url=url, expires_at=AT, at=AT)


def stopped(why: str | None = None) -> Stopped:
    return Stopped(why=why, at=AT)


def small() -> list[list[Event]]:
    """Thirty events in eight groups."""
    return [
        [RUN],
        [seen(number) for number in range(8)],
        [orphaned(0)],
        [orphaned(number) for number in range(1, 5)],
        [retried(5), failed(5)],
        [orphaned(number) for number in range(5, 8)],
        [orphaned(number) for number in range(10)],
        [stopped()],
    ]


def ledger(groups: list[list[Event]]) -> bytes:
    """Return the bytes of the ledger that holds *groups*."""
    return b"".join(ledger_format.encode([encode(event) for event in group]) for group in groups)


def start(code: str, *arguments: Path | str | float, **more: Any) -> Any:
    """Start Python on *code*, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **more,
    )
