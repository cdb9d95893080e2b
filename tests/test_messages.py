"""A message says how a run went, and no run goes otherwise for it."""

import sys
from collections import Counter
from datetime import UTC, datetime
from functools import partial

import anyio
import pytest
from anyio import to_thread

from batchup.cli import main
from batchup.events import Done, Failed
from batchup.history import History
from batchup.inputs import Skipped
from batchup.manifest import load
from batchup.messages import MANY, ending, open_messages
from batchup.plan import Plan, Step
from batchup.progress import Progress
from batchup.rehearsal import Script, answers
from batchup.rehearsal.stage import relocated
from batchup.run import Options, run
from batchup.spool import Spool
from batchup.summary import Cost, Summary, Tasks
from tests.fal.job import MODEL, Job, fal_of
from tests.hook import SECRET, open_hook
from tests.library import batchup, manifest, photo

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def job(folder, *addresses, photos=2):
    for number in range(photos):
        photo(folder / f"photos/{number}.png", seed=number)
    return manifest(folder, f"notify: [{', '.join(addresses)}]\nparams: {{scale: 2}}")


def summary(stopped=None, *, done=118, failed=0, held=0, pending=0, budget=5.0):
    tasks = Tasks(done + failed + held + pending, done, failed, held, 0, pending, 3, 0)
    cost = Cost(estimated=0.48, charged=0.47, reserved=0.08 * held, budget=budget)
    return Summary(
        "holiday", stopped, tasks, cost, {"server_error": failed} if failed else {}, [], {}, 5400.0
    )


async def sent(file, *, heard=(), end=None, limit_s=10.0):
    """Let messages of a manifest hear something, and return what a person was told."""
    told: list[str] = []
    async with open_messages(load(file), told.append, limit_s) as messages:
        messages.begin(Plan(Spool(Step), Spool(Skipped), Counter()), History())
        for event in heard:
            messages.heard(event)
        if end is not None:
            messages.ended(end)
    return told


def failure(number):
    return Failed(id=f"{number:032x}", attempt=1, kind="server_error", message="HTTP 500", at=NOW)


async def test_a_run_that_has_ended_is_announced_once_to_each_address(tmp_path):
    async with open_hook() as hook:
        file = job(tmp_path, hook.address, hook.address)

        outcome = await run(load(file), Options(), Progress(show=False))

        assert outcome.summary.tasks.done == 2
        assert hook.titles == ["holiday: finished, 2 tasks done"] * 2
        assert hook.heard[0]["type"] == "success"
        assert "2 of 2 tasks done" in hook.heard[0]["message"]

        await run(load(file), Options(), Progress(show=False))

        assert len(hook.heard) == 2, "where nothing was to be done, nothing is announced"


async def test_the_end_is_shown_before_it_is_announced(tmp_path):
    announced = []
    async with open_hook() as hook:
        file = job(tmp_path, hook.address, photos=1)

        await run(
            load(file), Options(ended=lambda _: announced.append(len(hook.heard))), Progress(show=False)
        )

        assert announced == [0]
        assert len(hook.heard) == 1


async def test_a_service_that_fails_is_told_in_one_line_and_changes_nothing(tmp_path):
    async with open_hook(status=503) as hook:
        file = job(tmp_path, hook.address, photos=1)

        done = await to_thread.run_sync(
            partial(batchup, "run", file, "--json", "-v", "--log-file", "log", cwd=tmp_path, status=0)
        )

    lines = [line for line in done.stderr.splitlines() if "notify" in line]
    assert len(lines) == 1
    assert "notify.0 (json://…) was not sent: the service answered HTTP 503" in lines[0]
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".yaml"]
    assert not any(SECRET in text for text in [done.stdout, done.stderr])
    assert not any(SECRET.encode() in contents for contents in written)


async def test_a_service_that_does_not_answer_is_left_after_its_time(tmp_path):
    async with open_hook(wait_s=3.0) as hook:
        with anyio.fail_after(2.0):
            told = await sent(job(tmp_path, hook.address), end=summary("budget"), limit_s=0.2)

    assert told == [
        "the message to notify.0 (json://…) was not sent: no answer within 0.2 s; the run is not concerned"
    ]


async def test_one_that_cannot_be_reached_does_not_keep_others_from_hearing(tmp_path):
    async with open_hook() as hook:
        told = await sent(job(tmp_path, "'json://127.0.0.1:1/x'", hook.address), end=summary("disk"))

    assert hook.titles == ["holiday: the disk refuses"]
    assert len(told) == 1
    assert "notify.0 (json://…) was not sent: the service cannot be reached, or does not answer" in told[0]


async def test_many_failures_are_told_while_the_run_goes_on_and_only_once(tmp_path):
    async with open_hook() as hook:
        file = job(tmp_path, hook.address)

        await sent(file, heard=map(failure, range(MANY)))
        assert hook.titles == []

        await sent(file, heard=map(failure, range(3 * MANY)))
        assert hook.titles == [f"holiday: more than {MANY} failures"]
        assert f"{MANY + 1} failed in this run, which goes on" in hook.heard[0]["message"]


async def test_a_locked_account_is_announced_with_what_to_do(tmp_path, monkeypatch):
    async with open_hook() as hook, fal_of(monkeypatch, Script("submit", answers.locked(), times=9)):
        job = Job(tmp_path, f"{MODEL}\nnotify: [{hook.address}]", photos=2)

        outcome = await job.run()

        assert outcome.summary.stopped == "account"
        assert hook.titles == ["holiday: the account refuses work"]
        assert hook.heard[0]["type"] == "failure"
        assert outcome.fatal in hook.heard[0]["message"]


async def test_whoever_interrupts_a_run_is_not_told_of_it(tmp_path):
    async with open_hook() as hook:
        done = Done(id="0" * 32, output="a", size_bytes=1, mtime_ns=1, sha256="", width=1, height=1, at=NOW)

        await sent(job(tmp_path, hook.address), heard=[done], end=summary("interrupted", pending=3))

        assert hook.heard == []


@pytest.mark.parametrize(
    ("at_end", "title", "tone", "advice"),
    [
        (summary(), "finished, 118 tasks done", "success", ""),
        (summary(failed=2, held=1), "finished, 2 failed, 1 held", "warning", "--retry-failed"),
        (summary("budget", pending=9), "stopped by the budget", "warning", "--budget AMOUNT"),
        (summary("window", pending=9), "stopped by its window", "warning", "when the window opens"),
        (summary("limit", pending=9), "stopped by --limit", "warning", "for the rest"),
        (summary("failures", pending=9), "too many failures in a row", "warning", "what failed"),
        (summary("account", pending=9), "the account refuses work", "failure", "the key and the balance"),
        (summary("disk", pending=9), "the disk refuses", "failure", "free some space"),
    ],
    ids=["finished", "failed", "budget", "window", "limit", "failures", "account", "disk"],
)
def test_a_message_holds_counts_cost_and_what_to_do_next(tmp_path, at_end, title, tone, advice):
    message = ending(
        load(job(tmp_path, photos=0)), at_end, "no space left\x1b[2J" if tone == "failure" else ""
    )

    assert message.title.startswith("holiday: ")
    assert title in message.title
    assert len(message.title) < 60
    assert message.tone == tone
    assert f"118 of {at_end.tasks.total} tasks done" in message.body
    assert "Cost: 0.47 USD" in message.body
    assert "of a budget of 5.00 USD" in message.body
    assert advice in message.body
    assert "\x1b" not in message.body


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"nosuch://{SECRET}", "nosuch://… is no address that apprise can send to"),
        ("slack://{SECRET}", "slack://… is no address that apprise can send to"),
        (SECRET, "is no address; write one like ntfy://topic"),
    ],
    ids=["service", "form", "no address"],
)
def test_an_address_that_apprise_does_not_know_is_found_before_anything_starts(
    tmp_path, capsys, command, address, said
):
    file = job(tmp_path, f"'{address}'")

    with pytest.raises(SystemExit) as end:
        main([command, str(file)])

    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert f"holiday.yaml:6:10: notify.0: {said}" in (err + out)
    assert SECRET not in err + out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "address",
    [
        "ntfy://my-topic",
        f"mailto://user:{SECRET}@example.org",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "tgram://123456789:abcdefg_hijklmnop/12315544",
        f"json://user:{SECRET}@example.org/hook",
    ],
    ids=["ntfy", "e-mail", "Slack", "Discord", "Telegram", "webhook"],
)
def test_every_service_that_is_named_takes_a_good_address(tmp_path, capsys, address):
    file = job(tmp_path, f"'{address}'")

    with pytest.raises(SystemExit) as end:
        main(["validate", str(file)])

    out, err = capsys.readouterr()
    assert not end.value.code, out + err
    assert SECRET not in out + err


def test_messages_without_their_part_are_an_error_that_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    file = job(tmp_path, "'ntfy://topic'")

    with pytest.raises(SystemExit) as end:
        main(["validate", str(file)])

    assert end.value.code == 2
    assert "pip install 'batchup[notify]'" in capsys.readouterr().err


def test_a_rehearsal_tells_nobody(tmp_path):
    assert relocated(load(job(tmp_path, "'ntfy://topic'")), tmp_path).notify == ()
