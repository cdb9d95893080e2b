"""Worker processes do what they are asked, fail alone, and never outlive their parent."""

import errno
import os
import select
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from batchup.errors import RejectedError, TransientError
from batchup.providers.local import worker
from batchup.providers.local.pool import open_pool
from tests.providers.local import chores

CHORES = chores.__name__
GB = 1_000_000_000
LONG_S = 10.0
"""Longer than anything here takes; only a broken test waits for it."""

posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and named pipes")


@pytest.fixture
async def pool():
    with anyio.fail_after(LONG_S):
        async with open_pool(2, GB) as pool:
            yield pool


@pytest.fixture
def pipe(tmp_path):
    """A named pipe that ``hold`` opens; the file descriptor of our end of it comes with its name."""
    name = tmp_path / "pipe"
    os.mkfifo(name)
    fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    yield str(name), fd
    os.close(fd)


def readable(fd: int) -> bytes:
    assert select.select([fd], [], [], LONG_S)[0], "nothing came"
    return os.read(fd, 100)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_struct_goes_there_and_its_result_comes_back(pool):
    result = await pool.call(f"{CHORES}:add", chores.Sum(2, 3, ("a\n", "é", "\udcff not UTF-8", '"')))

    assert result == {"total": 5, "names": ["a\n", "é", "\udcff not UTF-8", '"']}


async def test_large_arguments_and_results_come_through(pool):
    text = "x" * 5_000_000

    result = await pool.call(f"{CHORES}:echo", {"text": text})

    assert result == {"text": text}


async def test_a_process_is_used_again(pool):
    first = await pool.call(f"{CHORES}:pid", {})
    second = await pool.call(f"{CHORES}:pid", {})

    assert first == second != os.getpid()


async def test_a_device_has_a_process_of_its_own_that_stays(pool):
    first = await pool.call(f"{CHORES}:pid", {}, home="gpu")
    other = await pool.call(f"{CHORES}:pid", {})
    another_device = await pool.call(f"{CHORES}:pid", {}, home="gpu 1")
    again = await pool.call(f"{CHORES}:pid", {}, home="gpu")

    assert first == again
    assert len({first, other, another_device}) == 3


@posix
async def test_calls_for_a_device_run_one_after_the_other_and_take_no_place_from_others(pool, pipe):
    name, fd = pipe
    seen: list[str] = []

    async def second():
        await pool.call(f"{CHORES}:pid", {}, home="gpu", memory_bytes=GB // 2)
        seen.append("second")

    async with anyio.create_task_group() as group:
        group.start_soon(partial(pool.call, f"{CHORES}:hold", {"pipe": name, "how": "asleep"}, home="gpu"))
        await anyio.to_thread.run_sync(readable, fd)
        group.start_soon(second)
        for _ in range(2):
            group.start_soon(partial(pool.call, f"{CHORES}:pid", {}, memory_bytes=GB // 2))
        await anyio.lowlevel.checkpoint()  # so that all of them wait or run before this one
        await pool.call(f"{CHORES}:pid", {}, memory_bytes=GB)
        assert not seen
        group.cancel_scope.cancel()


async def test_progress_is_told_but_not_each_time(pool):
    told: list[float] = []

    result = await pool.call(f"{CHORES}:count", {"steps": 1000}, tell=told.append)

    assert result == "counted"
    assert told[0] == 0.0
    assert len(told) < 500


async def test_what_it_runs_on_is_noted_before_it_ends(pool):
    notes: list[str] = []

    with pytest.raises(TransientError):
        await pool.call(f"{CHORES}:note", {}, note=notes.append)

    assert notes == ["on a toaster"]


async def test_our_errors_come_back_as_they_were_raised(pool):
    with pytest.raises(RejectedError, match=r"^photo\.jpg: cut after 12 of 40 lines$") as rejected:
        await pool.call(f"{CHORES}:reject", {})
    with pytest.raises(TransientError, match=r"^busy$") as transient:
        await pool.call(f"{CHORES}:put_off", {})

    assert rejected.value.kind == "image_truncated"
    assert (transient.value.kind, transient.value.retry_after_s) == ("device_busy", 2.5)


async def test_an_error_of_the_disk_keeps_its_number_and_file(pool):
    with pytest.raises(OSError, match="No space left") as full:
        await pool.call(f"{CHORES}:fill_disk", {})

    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, "out.png")


@pytest.mark.parametrize(
    ("chore", "argument", "said"),
    [
        pytest.param("divide", {"by": 0}, "unexpected ZeroDivisionError: ", id="a bug"),
        pytest.param("leave", {}, "unexpected SystemExit: 3", id="sys.exit"),
        pytest.param("no_such_function", {}, "unexpected AttributeError: ", id="no such function"),
        pytest.param("add", {"left": "two"}, "unexpected ValidationError: ", id="wrong argument"),
    ],
)
async def test_an_unexpected_error_rejects_the_task_and_keeps_the_process(pool, chore, argument, said):
    before = await pool.call(f"{CHORES}:pid", {})

    with pytest.raises(RejectedError, match=f"^{said}") as error:
        await pool.call(f"{CHORES}:{chore}", argument)

    assert error.value.kind == "unexpected"
    assert "Traceback" in error.value.__notes__[0]
    assert await pool.call(f"{CHORES}:pid", {}) == before


async def test_running_out_of_memory_may_be_tried_again(pool):
    with pytest.raises(TransientError) as error:
        await pool.call(f"{CHORES}:exhaust", {})

    assert error.value.kind == "out_of_memory"


@posix
@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param(
            "SIGSEGV", r"killed by signal 11 \(SIGSEGV\); its last words: about to crash", id="crash"
        ),
        pytest.param(
            "SIGKILL", r"killed by signal 9 \(SIGKILL, perhaps because memory ran out\)", id="out of memory"
        ),
    ],
)
async def test_a_crash_fails_its_own_call_and_no_other(pool, pipe, name, said):
    fifo, fd = pipe
    async with anyio.create_task_group() as group:
        group.start_soon(pool.call, f"{CHORES}:hold", {"pipe": fifo, "how": "asleep"})
        other = int(await anyio.to_thread.run_sync(readable, fd))

        with pytest.raises(TransientError, match=said) as died:
            await pool.call(f"{CHORES}:crash", {"signal": name})
        result = await pool.call(f"{CHORES}:echo", {"goes": "on"})

        assert not is_gone(other)
        group.cancel_scope.cancel()
    assert died.value.kind == "worker_died"
    assert result == {"goes": "on"}


async def test_a_process_that_ends_by_itself_fails_its_call_with_its_status(pool):
    with pytest.raises(TransientError, match=r"^the worker process ended with status 7$"):
        await pool.call(f"{CHORES}:end", {})


@posix
async def test_a_worker_that_was_killed_while_idle_fails_nothing(pool):
    pid = await pool.call(f"{CHORES}:pid", {})
    process = next(iter(pool._workers)).process
    os.kill(pid, signal.SIGKILL)
    await process.wait()

    assert await pool.call(f"{CHORES}:pid", {}) != pid


@posix
@pytest.mark.parametrize("how", ["asleep", "in C code"])
async def test_cancelling_kills_the_process_and_the_pool_goes_on(pool, pipe, how):
    fifo, fd = pipe
    async with anyio.create_task_group() as group:
        group.start_soon(pool.call, f"{CHORES}:hold", {"pipe": fifo, "how": how})
        pid = int(await anyio.to_thread.run_sync(readable, fd))
        group.cancel_scope.cancel()

    assert is_gone(pid)
    assert await pool.call(f"{CHORES}:echo", {}) == {}


@posix
async def test_no_process_is_left_when_the_pool_closes(pipe):
    fifo, fd = pipe
    with pytest.raises(ExceptionGroup) as raised:  # noqa: PT012 - the pool must close on an error in its block
        async with open_pool(2, GB) as pool, anyio.create_task_group() as group:
            group.start_soon(pool.call, f"{CHORES}:hold", {"pipe": fifo, "how": "in C code"})
            busy = int(await anyio.to_thread.run_sync(readable, fd))
            idle = await pool.call(f"{CHORES}:pid", {})
            raise ZeroDivisionError

    assert raised.group_contains(ZeroDivisionError)
    assert is_gone(idle)
    assert is_gone(busy)


PARENT = f"""
import sys, anyio
from batchup.providers.local.pool import open_pool

async def main():
    async with open_pool(1, 1) as pool:
        await pool.call("{CHORES}:hold", {{"pipe": sys.argv[1], "how": sys.argv[2]}})

anyio.run(main)
"""


@posix
@pytest.mark.parametrize(
    "how",
    [
        "asleep",
        pytest.param(
            "in C code",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills with the parent"),
        ),
    ],
)
def test_a_busy_worker_dies_with_its_parent_by_kill_9(pipe, how):
    fifo, fd = pipe
    with subprocess.Popen([sys.executable, "-c", PARENT, fifo, how]) as parent:
        pid = int(readable(fd))
        parent.kill()

    assert readable(fd) == b""  # the end of the pipe: nobody holds it open any more
    assert pid != parent.pid


@posix
@pytest.mark.parametrize("how", ["idle", "asleep"])
def test_a_worker_ends_at_the_end_of_its_input_whatever_it_does(pipe, how):
    fifo, fd = pipe
    command = [sys.executable, "-m", worker.__name__, str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        if how != "idle":
            request = worker.Request(f"{CHORES}:hold", {"pipe": fifo, "how": how})
            process.stdin.write(worker.pack(request))
            process.stdin.flush()
            readable(fd)

        process.stdin.close()

        try:
            assert process.wait(LONG_S) == 0
        finally:
            process.kill()


@posix
async def test_ctrl_c_is_the_parents_business(pool):
    await pool.call(f"{CHORES}:interrupt", {})
    pid = await pool.call(f"{CHORES}:pid", {})

    assert os.getsid(pid) != os.getsid(0)


@posix
async def test_workers_give_way_to_the_desktop(pool):
    assert await pool.call(f"{CHORES}:priority", {}) == min(19, os.nice(0) + worker.NICENESS)


async def test_keys_are_not_in_a_workers_environment(pool, monkeypatch):
    monkeypatch.setenv("FAL_KEY", "secret")
    monkeypatch.setenv("FAL_ADMIN_KEY", "secret")
    monkeypatch.setenv("FALSE_FRIEND", "visible")

    environment = await pool.call(f"{CHORES}:environment", {})

    assert not {name for name in environment if name.startswith("FAL_")}
    assert environment["FALSE_FRIEND"] == "visible"


async def test_a_file_in_the_current_folder_is_never_taken_for_a_module(pool, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path)

    assert await pool.call(f"{CHORES}:echo", {"a": 1}) == {"a": 1}


async def test_a_worker_imports_nothing_heavy(pool):
    modules = set(await pool.call(f"{CHORES}:modules", {}))

    assert not modules & {"pydantic", "aiohttp", "anyio", "asyncio", "click", "yaml", "PIL", "av", "numpy"}


@posix
async def test_what_libraries_print_neither_disturbs_nor_blocks(pool):
    result = await pool.call(f"{CHORES}:chatter", {"lines": 2000})

    assert result == ""
    assert await pool.call(f"{CHORES}:echo", {"still": "right"}) == {"still": "right"}


@posix
async def test_two_calls_run_at_the_same_time(pool, tmp_path):
    pipes = {"there": str(tmp_path / "there"), "back": str(tmp_path / "back")}
    for name in pipes.values():
        os.mkfifo(name)
    heard = []

    async def meet(first):
        heard.append(await pool.call(f"{CHORES}:meet", {**pipes, "first": first}))

    async with anyio.create_task_group() as group:
        group.start_soon(meet, True)
        group.start_soon(meet, False)

    assert sorted(heard) == ["and back", "hello"]


async def test_no_more_processes_than_workers():
    pids = []

    async def ask(pool):
        pids.append(await pool.call(f"{CHORES}:pid", {}))

    async with open_pool(1, GB) as pool, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask, pool)

    assert len(pids) == 5
    assert len(set(pids)) == 1


@posix
async def test_a_call_waits_until_its_memory_is_free(pool, pipe):
    fifo, fd = pipe
    answers = []

    async def hold():
        with scope:
            await pool.call(f"{CHORES}:hold", {"pipe": fifo, "how": "asleep"}, memory_bytes=GB)

    async def ask():
        answers.append(await pool.call(f"{CHORES}:echo", {}, memory_bytes=1))

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(hold)
        await anyio.to_thread.run_sync(readable, fd)
        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        processes = len(pool._workers)
        scope.cancel()

    assert processes == 1
    assert answers == [{}]


async def test_work_larger_than_the_limit_is_refused_and_starts_no_process(pool):
    with pytest.raises(RejectedError, match=r"needs about 1\.1 GB of memory") as refused:
        await pool.call(f"{CHORES}:echo", {}, memory_bytes=GB + 1)

    assert refused.value.kind == "too_large"
    assert not pool._workers


async def test_that_no_process_can_be_started_may_pass(pool, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(Path("no") / "such" / "python"))

    with pytest.raises(TransientError, match=r"could not start a worker process: .*No such file") as error:
        await pool.call(f"{CHORES}:echo", {})

    assert error.value.kind == "no_worker"
