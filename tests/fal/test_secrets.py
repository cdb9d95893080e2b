"""The key goes to fal's own services, and nowhere else."""

import logging

import pytest
from aiohttp import web
from anyio import to_thread

from batchup.errors import ManifestError
from batchup.ledger.format import encode
from batchup.rehearsal import Cut, Elsewhere, Redirect, Script, answers
from tests.fal.job import LOSSY, MODEL, Job, fal_of
from tests.library import batchup
from tests.providers.fal.servers import serving

KEY = "f3b1c0de-key-id:5ec4e75ec4e75ec4e7"
HALF = KEY.partition(":")[2]


class Stranger:
    """Answers at an origin that is not fal's, and remembers what it was told."""

    def __init__(self):
        self.told = []

    async def __call__(self, request):
        self.told.append(f"{request.method} {request.url} {dict(request.headers)} {await request.text()}")
        return web.json_response({})


def everything_below(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("step", ["submit", "status", "result", "upload", "token", "pricing", "history"])
@pytest.mark.parametrize("way", [Elsewhere, Redirect], ids=["named in an answer", "redirected to"])
async def test_a_stranger_never_gets_the_key(tmp_path, monkeypatch, caplog, step, way):
    caplog.set_level(logging.DEBUG)
    job = Job(tmp_path, f"{MODEL}\n{LOSSY}\nretry: {{attempts: 2, initial: 1ms}}", photos=2)
    stranger = Stranger()
    async with fal_of(monkeypatch, key=KEY) as fal, serving(stranger) as address:
        fal.script(Script(step, way(address), times=2))
        if step == "history":
            fal.script(Script("submit", Cut("after")))
        outcome = await job.run()

        assert outcome.summary.tasks.done + outcome.summary.tasks.failed == 2
        assert HALF not in "".join(stranger.told)
        assert HALF.encode() not in everything_below(tmp_path)
        assert HALF not in caplog.text
        assert HALF not in str(outcome)


@pytest.mark.parametrize("way", [Elsewhere, Redirect], ids=["named in an answer", "redirected to"])
async def test_a_stranger_never_gets_the_key_of_a_synchronous_call(tmp_path, monkeypatch, way):
    job = Job(tmp_path, f"{MODEL}\nfal: {{mode: sync, settle: 200ms}}", photos=1)
    stranger = Stranger()
    async with fal_of(monkeypatch, key=KEY) as fal, serving(stranger) as address:
        fal.script(Script("run", way(address)))
        summary = (await job.run()).summary

        assert summary.tasks.failed == 1
        # Where a result lies is for the answer to say; it is fetched as from any other server.
        assert len(stranger.told) == (2 if way is Elsewhere else 0)
        assert HALF not in "".join(stranger.told)


def edited(job, old, new):
    """Write the ledger anew with *new* for *old*, as somebody might who knows how."""
    text = job.ledger.read_text().replace(old, new)
    job.ledger.write_bytes(
        encode([line for line in text.encode().splitlines() if b'"event":"group"' not in line])
    )


async def test_a_ledger_whose_result_lies_with_a_stranger_is_fetched_from_there_without_the_key(
    tmp_path, monkeypatch
):
    job = Job(tmp_path, photos=1)
    stranger = Stranger()
    async with fal_of(monkeypatch, key=KEY) as fal, serving(stranger) as address:
        await job.run()
        (job.out / "0.png").unlink()
        edited(job, fal.addresses["cdn"], address)

        assert await job.tasks() == {"failed": 1}

        assert stranger.told
        assert HALF not in "".join(stranger.told)
        assert len(fal.accepted) == 1


async def test_a_cancel_by_a_ledger_that_names_a_stranger_sends_it_no_key(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\ntimeouts: {{task: 50ms}}", photos=1)
    stranger = Stranger()
    async with fal_of(monkeypatch, key=KEY, task_s=0.3) as fal, serving(stranger) as address:
        assert await job.tasks() == {"in_flight": 1}
        edited(job, fal.addresses["queue"], address)

        done = await to_thread.run_sync(lambda: batchup("cancel", job.file, cwd=tmp_path, status=None))

        assert stranger.told == []
        assert fal.calls["cancel"] == 0
        assert HALF not in done.stdout + done.stderr


async def test_a_ledger_that_names_a_stranger_sends_it_no_key(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\ntimeouts: {{task: 50ms}}", photos=2)
    stranger = Stranger()
    async with fal_of(monkeypatch, key=KEY, task_s=0.3) as fal, serving(stranger) as address:
        assert await job.tasks() == {"in_flight": 2}
        edited(job, fal.addresses["queue"], address)
        job.write(MODEL)

        await job.run()

        assert stranger.told == []
        assert len(fal.accepted) == 2


async def test_an_answer_that_says_the_key_back_puts_it_nowhere(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    job = Job(tmp_path, photos=2)
    echo = answers.said({"detail": [{"loc": ["body"], "msg": f"bad {KEY}", "type": "one_of"}]}, 422)
    async with fal_of(monkeypatch, Script("submit", echo), key=KEY):
        outcome = await job.run()

        assert outcome.summary.tasks.failed == 1
        assert "bad …" in job.events("failed")[0]["message"]
        assert HALF.encode() not in everything_below(tmp_path)
        assert HALF not in str(outcome) + caplog.text


@pytest.mark.parametrize("form", ["text", "json"])
async def test_the_command_line_tells_the_key_nowhere_however_much_it_tells(tmp_path, monkeypatch, form):
    job = Job(tmp_path, photos=2)
    echo = answers.said({"detail": f"{KEY} is unheard of"}, 401)
    options = ("-v", "--log-file", "log", "--log-format", form)
    async with fal_of(monkeypatch, Script("result", echo, times=0), key=KEY):
        done = await to_thread.run_sync(lambda: batchup("run", job.file, *options, cwd=tmp_path, status=5))

        assert HALF not in done.stdout + done.stderr
        assert (tmp_path / "log").stat().st_size
        assert HALF.encode() not in everything_below(tmp_path)


async def test_a_result_at_an_address_that_is_not_trusted_is_not_fetched(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(
        monkeypatch, Script("result", answers.said({"image": {"url": "http://example.org/a"}}))
    ) as fal:
        assert await job.tasks() == {"failed": 1}

        assert fal.calls["download"] == 0


async def test_a_service_in_plain_http_beyond_this_machine_is_refused(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch) as fal:
        monkeypatch.setenv("FAL_QUEUE_URL", "http://queue.example.org")
        with pytest.raises(ManifestError, match="must be https"):
            await job.run()

        assert not fal.accepted


def test_the_command_line_without_a_key_says_where_to_get_one(tmp_path):
    job = Job(tmp_path, photos=1)

    done = batchup("run", job.file, cwd=tmp_path, status=None)

    assert done.returncode == 5
    assert "FAL_KEY" in done.stderr
    assert not job.out.exists()
