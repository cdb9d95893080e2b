from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from batchup import events
from batchup.errors import LedgerError
from batchup.history import History, State
from batchup.ledger import open_ledger, open_view
from batchup.rehearsal.draft import draft

AT = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
RUN = events.Run(format=1, job="holiday", manifest="", version="1", host="h", pid=7, at=AT)
PRICE = Decimal("0.08")


def task_id(number):
    return f"{number:032x}"


def seen(number):
    return events.Seen(
        id=task_id(number),
        root="photos",
        path=f"{number}.png",
        model="fal/topaz-image",
        output=f"{number}.png",
        estimated_usd=PRICE,
        at=AT,
    )


def submitting(number):
    return events.Submitting(
        id=task_id(number), attempt=1, endpoint="fal-ai/x", body={}, reserved_usd=PRICE, at=AT
    )


def submitted(number):
    return events.Submitted(id=task_id(number), attempt=1, request_id=f"r{number}", at=AT)


def result(number):
    return events.Result(
        id=task_id(number), attempt=1, urls=("https://x/y",), charged_usd=Decimal("0.08"), at=AT
    )


def done(number):
    return events.Done(
        id=task_id(number),
        output=f"{number}.png",
        size_bytes=9,
        mtime_ns=1,
        sha256="5" * 64,
        width=4,
        height=2,
        charged_usd=PRICE,
        at=AT,
    )


def held(number):
    return events.Held(id=task_id(number), attempt=1, message="who knows", reserved_usd=PRICE, at=AT)


@pytest.fixture
async def ledger(tmp_path):
    """A ledger with a task in every state, and one that is done being done again."""
    path = tmp_path / "holiday.jsonl"
    async with open_ledger(path) as opened:
        await opened.append(
            RUN,
            events.Uploaded(sha256="a" * 64, url="https://x/in", expires_at=AT + timedelta(days=1), at=AT),
        )
        await opened.append(*map(seen, range(1, 8)))
        await opened.append(submitting(1), submitted(1), result(1), done(1))
        await opened.append(submitting(2))
        await opened.append(submitting(3), submitted(3))
        await opened.append(submitting(4), submitted(4), result(4))
        await opened.append(submitting(5), held(5))
        await opened.append(events.Failed(id=task_id(6), attempt=1, kind="x", message="y", at=AT))
        await opened.append(done(7), submitting(7))
    return path


def fold(path):
    with open_view(path) as view:
        return History(view.read_line).fold(view.replay())


async def test_what_is_under_way_is_pending_in_a_draft_and_all_else_is_as_it_was(ledger, tmp_path):
    draft(ledger, tmp_path / "copy.jsonl")

    history = fold(tmp_path / "copy.jsonl")
    states = {int(key.hex(), 16): record.state for key, record in history.records.items()}
    assert states == {
        1: State.DONE,
        6: State.FAILED,
        **dict.fromkeys([2, 3, 4, 5, 7], State.PENDING),
    }
    assert (history.money.reserved, history.money.charged) == (0, 2 * PRICE)
    assert history.money.estimated == fold(ledger).money.estimated


async def test_a_draft_knows_no_upload_since_it_lies_at_the_real_platform(ledger, tmp_path):
    draft(ledger, tmp_path / "copy.jsonl")

    assert fold(ledger).uploads
    assert not fold(tmp_path / "copy.jsonl").uploads


async def test_drafting_needs_no_lock_and_leaves_the_ledger_alone(ledger, tmp_path):
    async with open_ledger(ledger):
        before = ledger.read_bytes()

        draft(ledger, tmp_path / "copy.jsonl")

        assert ledger.read_bytes() == before


async def test_a_damaged_ledger_is_not_drafted(ledger, tmp_path):
    ledger.write_bytes(ledger.read_bytes().replace(b"who knows", b"who cares"))

    with pytest.raises(LedgerError, match="damaged"):
        draft(ledger, tmp_path / "copy.jsonl")
