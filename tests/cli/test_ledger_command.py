import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import anyio
import pytest

from batchup.events import Done, Failed, Held, Result, Retried, Run, Seen, Stopped
from batchup.ledger import open_ledger
from tests.cli.conftest import photo, spawn

AT = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
RUN = Run(format=1, job="holiday", manifest="", version="1", host="h", pid=7, at=AT)
MANIFEST = """\
version: 1
name: holiday
inputs: [{path: photos}]
model: local/lanczos
output: {dir: out}
"""


def task_id(number):
    return f"{number:032x}"


def seen(number, path):
    return Seen(id=task_id(number), root="photos", path=path, model="local/lanczos", output=path, at=AT)


def done(number, output, charged="0"):
    return Done(
        id=task_id(number),
        output=output,
        size_bytes=9,
        mtime_ns=1,
        sha256="5" * 64,
        width=4,
        height=2,
        charged_usd=Decimal(charged),
        at=AT,
    )


def failed(number):
    return Failed(
        id=task_id(number), attempt=1, kind="image_truncated", message='it\x1b is cut, and "so"', at=AT
    )


def write(path, *groups):
    """Append groups of events to a ledger."""

    async def append():
        async with open_ledger(path) as ledger:
            for group in groups:
                await ledger.append(*group)

    anyio.run(append)
    return path


@pytest.fixture
def ledger(tmp_path):
    """A ledger beside its manifest: tasks that are done, failed, paid twice, held, and not begun."""
    (tmp_path / "holiday.yaml").write_text(MANIFEST)
    names = ["=cmd().jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    return write(
        tmp_path / "out/.batchup/holiday.jsonl",
        [RUN],
        [seen(number, name) for number, name in enumerate(names, 1)],
        [done(1, "=cmd().jpg"), failed(2)],
        [Result(id=task_id(3), attempt=1, urls=("u",), charged_usd=Decimal("0.02"), at=AT)],
        [Retried(id=task_id(3), attempt=1, kind="x", message="y", wait_s=1, at=AT)],
        [Result(id=task_id(3), attempt=2, urls=("u",), charged_usd=Decimal("0.03"), at=AT)],
        [Held(id=task_id(4), attempt=1, message="who knows", at=AT)],
        [Stopped(at=AT)],
    )


def damage(path):
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"path":"b.jpg"', b'"path":"B.jpg"'))


@pytest.mark.parametrize("name", ["holiday.yaml", "out/.batchup/holiday.jsonl", "elsewhere.txt"])
def test_a_ledger_is_named_by_its_manifest_or_by_itself(call, ledger, tmp_path, name):
    (tmp_path / "elsewhere.txt").write_bytes(ledger.read_bytes())

    status, out, _ = call("ledger", "verify", tmp_path / name)

    assert status == 0
    assert "whole\n  lines     13 in 8 groups" in out
    assert "  task      5\n" in out


def test_damage_is_told_with_its_line_and_ends_with_4(call, ledger):
    damage(ledger)

    status, out, _ = call("ledger", "verify", ledger)

    assert status == 4
    assert "damaged   line 4\n" in out
    assert f"batchup ledger repair {ledger}" in out


def test_damage_is_json_where_that_is_asked_for(call, ledger):
    damage(ledger)

    status, out, _ = call("ledger", "verify", ledger, "--json")

    document = json.loads(out)
    assert (status, document["whole"], document["damaged"]) == (4, False, [4])


def test_an_unfinished_end_is_told_and_is_no_damage(call, ledger):
    with ledger.open("ab") as file:
        file.write(b'{"event":"do')

    status, out, _ = call("ledger", "verify", ledger)

    assert status == 0
    assert "torn      12 bytes at the end" in out


def test_repair_keeps_the_old_file_and_leaves_a_whole_ledger(call, ledger):
    damage(ledger)
    before = ledger.read_bytes()

    document = json.loads(call("ledger", "repair", ledger, "--json").out)

    assert document["repaired"] is True
    assert (ledger.parent / document["kept"]).read_bytes() == before
    assert call("ledger", "verify", ledger).status == 0


def test_repair_leaves_a_whole_ledger_alone(call, ledger):
    before = ledger.read_bytes()

    status, out, _ = call("ledger", "repair", ledger)

    assert (status, ledger.read_bytes()) == (0, before)
    assert "whole" in out


def test_compacting_tells_the_lines_before_and_after(call, ledger):
    write(ledger, [RUN, RUN, RUN])

    document = json.loads(call("ledger", "compact", ledger, "--json").out)

    assert (document["lines_before"], document["lines_after"]) == (16, 14)


async def test_a_ledger_in_use_is_not_compacted(call, ledger):
    async with open_ledger(ledger):
        status, out, err = call("ledger", "compact", ledger)

    assert (status, out) == (4, "")
    assert "in use by another run" in err


@pytest.mark.usefixtures("ledger")
def test_export_has_one_row_a_task(call, tmp_path):
    rows = list(csv.DictReader(io.StringIO(call("ledger", "export", tmp_path / "holiday.yaml").out)))

    assert [row["state"] for row in rows] == ["done", "failed", "completed", "held", "pending"]
    assert [row["charged_usd"] for row in rows] == ["0.0", "0.0", "0.05", "0.0", "0.0"]
    assert (rows[1]["error"], rows[3]["message"]) == ("image_truncated", "who knows")


def test_export_makes_formulas_and_control_characters_harmless(call, ledger):
    rows = list(csv.DictReader(io.StringIO(call("ledger", "export", ledger).out)))

    assert rows[0]["output"] == "'=cmd().jpg"
    assert rows[1]["message"] == 'it\\x1b is cut, and "so"'


@pytest.mark.parametrize("option", [["--format", "json"], ["--json"]], ids=["--format json", "--json"])
def test_export_as_json_is_one_document_with_names_as_they_are(call, ledger, option):
    rows = json.loads(call("ledger", "export", ledger, *option).out)

    assert [row["attempts"] for row in rows] == [1, 1, 2, 1, 0]
    assert rows[0]["output"] == "=cmd().jpg"


def test_an_export_without_tasks_is_an_empty_document(call, tmp_path):
    write(tmp_path / "l.jsonl", [RUN])

    assert json.loads(call("ledger", "export", tmp_path / "l.jsonl", "--json").out) == []


def test_export_writes_a_file_and_says_so(call, ledger, tmp_path):
    status, out, _ = call("ledger", "export", ledger, "--output", tmp_path / "t.csv")

    assert (status, out) == (0, f"{tmp_path}/t.csv: 5 tasks\n")
    assert (tmp_path / "t.csv").read_text().count("\n") == 6


def test_export_never_replaces_what_it_reads(call, ledger, tmp_path):
    before = ledger.read_bytes()
    (tmp_path / "link").symlink_to(ledger)

    statuses = [
        call("ledger", "export", ledger, "--output", name).status for name in (ledger, tmp_path / "link")
    ]

    assert statuses == [2, 2]
    assert ledger.read_bytes() == before


def test_a_damaged_ledger_leaves_the_target_alone(call, ledger, tmp_path):
    (tmp_path / "t.csv").write_text("mine")
    damage(ledger)

    status, out, err = call("ledger", "export", ledger, "--output", tmp_path / "t.csv")

    assert (status, out, (tmp_path / "t.csv").read_text()) == (4, "", "mine")
    assert "line 4 is damaged" in err


def test_a_target_that_cannot_be_written_ends_with_6(call, ledger, tmp_path):
    status, _, err = call("ledger", "export", ledger, "--output", tmp_path / "no/such/folder.csv")

    assert status == 6
    assert "cannot be written" in err


@pytest.mark.parametrize("command", ["verify", "repair", "compact", "export"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [("nothing.yaml", 2), ("nothing.jsonl", 4), ("holiday.yaml", 4), ("notes.txt", 2), (".", 2)],
    ids=["no manifest", "no ledger", "a manifest without ledger", "some other file", "a folder"],
)
def test_what_is_no_ledger_is_refused_and_said_so(call, tmp_path, command, name, expected):
    (tmp_path / "holiday.yaml").write_text(MANIFEST)
    (tmp_path / "notes.txt").write_text("hello")

    status, out, err = call("ledger", command, tmp_path / name)

    assert (status, out) == (expected, "")
    assert err
    assert not (tmp_path / "out").exists()


def test_a_reader_that_leaves_early_is_no_error(ledger):
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "batchup", "ledger", "export", str(ledger)],
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert (done.returncode in {1, 141}, done.stderr) == (True, b"")


def test_a_real_run_is_exported(tmp_path):
    photo(tmp_path / "photos/a.png")
    (tmp_path / "holiday.yaml").write_text(MANIFEST)
    spawn("run", "holiday.yaml", "-q", cwd=tmp_path)

    (row,) = json.loads(spawn("ledger", "export", "holiday.yaml", "--json", cwd=tmp_path).out)

    assert (row["state"], row["width"], len(row["sha256"])) == ("done", 32, 64)
