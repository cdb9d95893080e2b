"""The machine kept awake: by programs that stand in for the system's own, and by none."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from batchup.awake import kept_awake
from tests.library import alive, batchup, kill, manifest, photo, start, wait_until

WAIT_S = 10.0

HEAD = """#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$@" > "$here/arguments"
env > "$here/environment"
"""
# As the system's own: it runs the command that follows its options, and ends with it.
HOLDS = (
    HEAD
    + """
while [ "${1#-}" != "$1" ]; do shift; done
"$@"
echo ended > "$here/ended"
"""
)
REFUSES = HEAD + "echo 'Failed to inhibit: Access denied' >&2\nexit 1\n"
HANGS = HEAD + 'echo $$ > "$here/new"; mv "$here/new" "$here/pid"\nsleep 1000\n'
STAYS = HEAD + 'echo $$ > "$here/new"; mv "$here/new" "$here/pid"\ncat\nsleep 1000\n'


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a program first in PATH, and nothing there that really keeps the machine awake."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "sleep", "env", "dirname", "mv", "ls"):
        (tools / name).symlink_to(f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}")
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{tools}")

    def put(name, script):
        file = folder / name
        file.write_text(script)
        file.chmod(0o755)
        return folder

    return put


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(there, what):
    deadline_s = time.monotonic() + WAIT_S
    while not there():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param(
            "systemd-inhibit",
            ["--what=sleep:idle", "--who=batchup", "--mode=block", "--why=1,000 tasks", "cat"],
            id="Linux",
        ),
        pytest.param("caffeinate", ["-i", "cat"], id="macOS"),
    ],
)
async def test_the_machine_is_kept_awake_while_the_block_lasts(program, name, arguments):
    folder = program(name, HOLDS)

    async with kept_awake("1,000 tasks") as how:
        assert how == name
        assert not (folder / "ended").exists()

    assert (folder / "ended").exists()
    assert (folder / "arguments").read_text().splitlines() == arguments


async def test_what_keeps_the_machine_awake_does_not_learn_the_key(program, monkeypatch):
    folder = program("systemd-inhibit", HOLDS)
    monkeypatch.setenv("FAL_KEY", "id:secret")
    monkeypatch.setenv("FAL_QUEUE_URL", "http://127.0.0.1")

    async with kept_awake("work"):
        pass

    environment = (folder / "environment").read_text()
    assert "FAL_" not in environment
    assert "PATH=" in environment


async def test_a_reason_of_any_letters_is_told_harmlessly(program):
    folder = program("systemd-inhibit", HOLDS)

    async with kept_awake("Fürth \0 \udcff \x1b[2J 日本") as how:
        assert how == "systemd-inhibit"

    said = (folder / "arguments").read_text(encoding="utf-8")
    assert "--why=Fürth \\x \\udcff \\x1b[2J 日本\n" in said


async def test_a_block_that_fails_lets_the_machine_sleep_again(program):
    folder = program("systemd-inhibit", HOLDS)

    with pytest.raises(ZeroDivisionError):
        async with kept_awake("work"):
            raise ZeroDivisionError

    assert (folder / "ended").exists()


async def test_a_block_that_is_cancelled_lets_the_machine_sleep_again(program):
    folder = program("systemd-inhibit", HOLDS)

    with anyio.CancelScope() as scope:
        async with kept_awake("work"):
            scope.cancel()
            await anyio.sleep_forever()

    assert (folder / "ended").exists()


@pytest.mark.usefixtures("program")
async def test_a_system_without_means_is_left_alone():
    async with kept_awake("work") as how:
        assert how is None


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(REFUSES, id="refused"),
        pytest.param("no program at all\n", id="not a program"),
        pytest.param("#!/nowhere/sh\n", id="no interpreter"),
        pytest.param("#!/bin/sh\nexit 0\n", id="ends at once"),
    ],
)
async def test_a_system_that_refuses_is_left_alone_and_nothing_is_said(program, capfd, script):
    program("systemd-inhibit", script)

    async with kept_awake("work") as how:
        assert how is None

    assert capfd.readouterr() == ("", "")


async def test_where_one_means_is_refused_the_next_is_tried(program):
    program("systemd-inhibit", REFUSES)
    program("caffeinate", HOLDS)

    async with kept_awake("work") as how:
        assert how == "caffeinate"


async def test_a_system_that_does_not_answer_holds_nothing_up(program):
    folder = program("systemd-inhibit", HANGS)

    async with kept_awake("work", patience_s=0.3) as how:
        assert how is None
        # Gone before the work begins; a busy machine may not even have let it write who it is.
        assert not (folder / "pid").exists() or not lives(int((folder / "pid").read_text()))


async def test_who_gives_up_waiting_for_an_answer_leaves_no_process(program):
    folder = program("systemd-inhibit", HANGS)

    async with anyio.create_task_group() as group:

        async def work():
            async with kept_awake("work"):
                raise AssertionError

        group.start_soon(work)
        await to_thread.run_sync(until, (folder / "pid").exists, "it was never started")
        group.cancel_scope.cancel()

    assert not lives(int((folder / "pid").read_text()))


async def test_a_program_that_does_not_end_by_itself_is_ended(program):
    folder = program("systemd-inhibit", STAYS)

    async with kept_awake("work", patience_s=1.0) as how:
        assert how == "systemd-inhibit"
        assert lives(int((folder / "pid").read_text()))

    assert not lives(int((folder / "pid").read_text()))


KEEPS_AWAKE = """
import anyio
from batchup.awake import kept_awake

async def work():
    async with kept_awake("work") as how:
        print(how, flush=True)
        await anyio.sleep_forever()

anyio.run(work)
"""


def test_a_process_that_is_killed_lets_the_machine_sleep_again(program):
    folder = program("systemd-inhibit", HOLDS)
    command = [sys.executable, "-c", KEEPS_AWAKE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "systemd-inhibit\n"
        assert not (folder / "ended").exists()

        process.send_signal(signal.SIGKILL)

    until((folder / "ended").exists, "what kept the machine awake goes on without us")


# As HOLDS; it notes who it is, what it runs, and what the run has made by the time it lets go.
RUNS = """#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$@" > "$here/arguments"
while [ "${1#-}" != "$1" ]; do shift; done
exec 3<&0
"$@" <&3 &
echo $$ $! > "$here/new"; mv "$here/new" "$here/pids"
ls "$here/../out" > "$here/there at first"
wait
ls "$here/../out" > "$here/there at last"; echo ended > "$here/ended"
"""

AWAKE = "this machine stays awake until the run ends"


@pytest.fixture
def job(tmp_path):
    def of(photos):
        for number in range(photos):
            photo(tmp_path / f"photos/{number}.png", seed=number)
        return manifest(tmp_path)

    return of


def processes(folder):
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def test_a_run_keeps_the_machine_awake_till_its_last_output_and_no_longer(tmp_path, program, job):
    folder = program("systemd-inhibit", RUNS)

    done = batchup("run", job(2), cwd=tmp_path)

    assert f"{AWAKE} (systemd-inhibit)" in done.stderr
    assert "--why=holiday is being upscaled" in (folder / "arguments").read_text().splitlines()
    assert (folder / "there at first").read_text() == ""
    assert (folder / "there at last").read_text().split() == ["0.png", "1.png"]
    assert not any(map(alive, processes(folder)))


def test_a_run_that_is_killed_leaves_nothing_that_keeps_the_machine_awake(tmp_path, program, job):
    folder = program("systemd-inhibit", RUNS)
    process = start("run", job(20), cwd=tmp_path)
    wait_until((folder / "there at first").exists)
    held = processes(folder)
    lived = [*map(alive, held)]

    kill(process)

    assert lived == [True, True]
    until((folder / "ended").exists, "what kept the machine awake goes on without the run")
    until(lambda: not any(map(alive, held)), "a process is left over")


@pytest.mark.parametrize("script", [None, REFUSES], ids=["missing", "refused"])
def test_a_run_that_may_not_keep_the_machine_awake_goes_as_any_other(tmp_path, program, job, script):
    if script:
        program("systemd-inhibit", script)

    done = batchup("run", job(1), cwd=tmp_path)

    assert AWAKE not in done.stderr
    assert (tmp_path / "out/0.png").exists()
