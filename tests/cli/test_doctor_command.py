"""`batchup doctor` says what works, and what to do about what does not."""

import json
import os
import subprocess
import sys

import pytest
from anyio import to_thread

from tests.fal.job import Job, fal_of

KEY = "0123abcd-key:a-very-secret-half-of-a-key"


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCHUP_STATE_HOME", str(tmp_path / "state"))
    for name in ("FAL_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET"):
        monkeypatch.delenv(name, raising=False)


def found(said, part):
    return [one for one in said["findings"] if one["part"] == part]


def doctor(*args, **environment):
    """Run it as a process of its own: in this one an event loop is running."""
    done = subprocess.run(
        [sys.executable, "-m", "batchup", "doctor", *map(str, args), "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr
    assert KEY.partition(":")[2] not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


async def test_where_everything_works_it_ends_with_0(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch) as fal:
        status, said = await to_thread.run_sync(doctor, job.file)

        assert (status, said["ok"]) == (0, True)
        assert [one["standing"] for one in found(said, "key") + found(said, "network")] == ["ok", "ok"]
        assert {one["standing"] for one in found(said, "disk")} == {"ok"}
        assert fal.accepted == []
    assert not job.out.exists()
    assert not (tmp_path / "state").exists()


async def test_a_key_that_is_refused_is_told_and_not_shown(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch):
        monkeypatch.setenv("FAL_KEY", KEY)

        status, said = await to_thread.run_sync(doctor, job.file)

    assert status == 1
    (key,) = found(said, "key")
    assert "does not accept the key" in key["found"]
    assert "fal.ai/dashboard/keys" in key["advice"]


@pytest.mark.parametrize(("model", "status"), [("fal/topaz-image", 1), ("local/lanczos", 0)])
def test_without_a_key_only_what_needs_one_is_ill(tmp_path, model, status):
    job = Job(tmp_path, f"model: {model}", photos=1)

    ended, said = doctor(job.file)

    (key,) = found(said, "key")
    assert (ended, key["standing"]) == (status, "bad" if status else "off")
    assert "set FAL_KEY" in key["advice"]


def test_a_network_that_does_not_answer_is_told():
    status, said = doctor(FAL_KEY=KEY, FAL_QUEUE_URL="http://127.0.0.1:9")

    (network,) = found(said, "network")
    assert (status, network["standing"]) == (1, "bad")
    assert "proxy" in network["advice"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")

    status, said = doctor(BATCHUP_STATE_HOME=str(tmp_path / "file" / "below"))

    assert status == 1
    assert "BATCHUP_STATE_HOME" in next(
        one["advice"] for one in found(said, "disk") if one["standing"] == "bad"
    )


def test_a_damaged_ledger_is_told_with_what_repairs_it(tmp_path):
    job = Job(tmp_path, "model: local/lanczos", photos=1)
    subprocess.run([sys.executable, "-m", "batchup", "run", str(job.file), "-q"], check=True)
    job.ledger.write_bytes(job.ledger.read_bytes().replace(b'"task"', b'"tusk"', 1))

    status, said = doctor(job.file)

    (ledger,) = found(said, "ledger")
    assert (status, ledger["standing"]) == (1, "bad")
    assert "ledger repair" in ledger["advice"]


def test_parts_that_are_not_there_are_told_with_how_to_install_them(tmp_path):
    status, said = doctor(PYTHONPATH=str(tmp_path))

    assert status == 0
    for one in found(said, "extra"):
        assert one["standing"] == "ok" or one["advice"].startswith("pip install 'batchup[")
