"""What a person is told to type next."""

from datetime import UTC, datetime

import pytest

from batchup import events
from batchup.ledger import format as ledger_format
from tests.cli.told import FAL, Job

NOW = datetime(2026, 8, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("why", "told"),
    [
        pytest.param("budget", "run {file} --budget AMOUNT\n", id="more-budget"),
        pytest.param("interrupted", "run {file}\n", id="the-same-again"),
        pytest.param("window", "run {file}\n", id="the-same-later"),
    ],
)
def test_a_run_that_ended_early_is_followed_by_what_leads_on(tmp_path, call, why, told):
    job = Job(tmp_path, call, FAL)
    job.photo("a.png")
    job.remember()
    line = events.encode(events.Stopped(why=why, at=NOW))
    ledger = next((tmp_path / "out" / ".batchup").glob("*.jsonl"))
    ledger.write_bytes(ledger.read_bytes() + ledger_format.encode([line]))

    out = call("status", job.file).out

    assert out.endswith(told.format(file=job.file))
