import os
import signal
import socket
from contextlib import suppress

import anyio
import pytest

from batchup.errors import LedgerError
from batchup.events import decode, encode
from batchup.ledger import disk, open_ledger, read_ledger
from batchup.ledger.format import GROUP_LINES
from tests.ledger.samples import RUN, done, ledger, run, seen, small, start

GROUPS = small()
EVENTS = [event for group in GROUPS for event in group]


async def opened(path, **options):
    """Open, and return what it holds."""
    async with open_ledger(path, **options) as one:
        return [decode(line) for _, line in one.replay()]


class Counted:
    """The real sync, counted."""

    def __init__(self):
        self.count = 0

    def __call__(self, fd):
        self.count += 1
        disk.sync(fd)


async def test_what_was_appended_is_replayed_in_order(tmp_path):
    path = tmp_path / "job.jsonl"
    async with open_ledger(path) as one:
        for group in GROUPS:
            await one.append(*group)

    assert await opened(path) == EVENTS


async def test_a_ledger_holds_the_bytes_that_its_format_says(tmp_path):
    path = tmp_path / "job.jsonl"
    async with open_ledger(path) as one:
        for group in GROUPS:
            await one.append(*group)

    assert path.read_bytes() == ledger(GROUPS)


async def test_cut_after_every_byte_it_opens_appends_and_replays_its_whole_groups(tmp_path):
    path = tmp_path / "job.jsonl"
    data = ledger(GROUPS)
    ends = [len(ledger(GROUPS[:count])) for count in range(len(GROUPS) + 1)]
    path.write_bytes(data)
    for size_bytes in range(len(data), -1, -1):
        with path.open("r+b") as file:
            file.write(data[:size_bytes])
            file.truncate()
        count = sum(end <= size_bytes for end in ends) - 1
        more = seen(99) if count else run()

        async with open_ledger(path, sync=lambda _: None) as one:
            await one.append(more)
            after = [decode(line) for _, line in one.replay()]

        assert after == [event for group in GROUPS[:count] for event in group] + [more]
        assert path.read_bytes() == ledger([*GROUPS[:count], [more]])


async def test_a_line_is_found_again_by_its_offset(tmp_path):
    path = tmp_path / "job.jsonl"
    long = seen(3, output="x" * 20_000)
    async with open_ledger(path) as one:
        await one.append(RUN, seen(1), long)
        await one.append(seen(2))

        replayed = list(one.replay())

        assert [one.read_line(offset) for offset, _ in replayed] == [line for _, line in replayed]
        assert encode(long) in [line for _, line in replayed]


async def test_many_who_wait_at_once_share_a_sync(tmp_path):
    sync = Counted()
    async with open_ledger(tmp_path / "job.jsonl", sync=sync) as one:
        await one.append(RUN)
        sync.count = 0
        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(one.append, seen(number))

        assert sync.count <= 20
        assert sum(1 for _ in one.replay()) == 201


async def test_a_hundred_thousand_events_take_a_sync_a_group(tmp_path):
    sync = Counted()
    async with open_ledger(tmp_path / "job.jsonl", sync=sync) as one:
        await one.append(RUN, *(seen(number) for number in range(100_000)))

        assert sync.count == 100_000 // GROUP_LINES + 1
        assert sum(1 for _ in one.replay()) == 100_001


async def test_an_event_is_written_even_if_nobody_waits_for_it_any_more(tmp_path):
    path = tmp_path / "job.jsonl"
    async with open_ledger(path) as one:
        await one.append(RUN)
        async with anyio.create_task_group() as group:
            group.start_soon(one.append, seen(1))
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    assert await opened(path) == [RUN, seen(1)]


async def test_append_returns_only_after_the_sync(tmp_path):
    path = tmp_path / "job.jsonl"
    sizes = []

    def sync(fd):
        disk.sync(fd)
        sizes.append(os.fstat(fd).st_size)

    async with open_ledger(path, sync=sync) as one:
        await one.append(RUN)

        assert sizes == [path.stat().st_size]


async def test_the_first_event_is_a_run(tmp_path):
    async with open_ledger(tmp_path / "job.jsonl") as one:
        with pytest.raises(ValueError, match="first event"):
            await one.append(seen(1))


async def test_missing_folders_are_made(tmp_path):
    path = tmp_path / "out" / ".batchup" / "job.jsonl"

    assert await opened(path) == []
    assert path.exists()


async def test_without_create_a_missing_ledger_is_an_error_and_leaves_no_trace(tmp_path):
    with pytest.raises(LedgerError, match="there is no ledger here"):
        await opened(tmp_path / "out" / "job.jsonl", create=False)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(100), id="picture"),
        pytest.param(b"a note\n", id="text"),
        pytest.param(b'{"event":"task","id":"1"}\n', id="another log"),
        pytest.param(b'{"name": 1}', id="JSON"),
        pytest.param(bytes(100), id="zeros"),
        pytest.param(b"\n", id="newline"),
    ],
)
async def test_a_foreign_file_is_refused_untouched(tmp_path, content):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    before = path.stat()

    with pytest.raises(LedgerError, match=r"photo.jpg: this is no batchup ledger.*`ledger:`"):
        await opened(path)

    assert path.read_bytes() == content
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert list(tmp_path.iterdir()) == [path]


async def test_a_folder_and_a_named_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    for name, what in ("", "a folder"), ("pipe", "no regular file"):
        with pytest.raises(LedgerError, match=f"this is {what}, not a ledger"):
            await opened(tmp_path / name)


async def test_a_file_among_its_folders_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(LedgerError, match="a part of its path is a file"):
        await opened(tmp_path / "file" / "job.jsonl")


async def test_links_that_go_round_are_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(LedgerError, match="go round"):
        await opened(tmp_path / "a")


async def test_a_newer_ledger_is_refused_untouched(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(b'{"event":"run","format":2,"job":"x"}\n')

    with pytest.raises(LedgerError, match="format 2, of a newer batchup"):
        await opened(path)

    assert path.read_bytes() == b'{"event":"run","format":2,"job":"x"}\n'


@pytest.mark.parametrize("line", [1, 2, 5, 12, 13])
async def test_a_damaged_line_is_refused_by_its_number_and_untouched(tmp_path, line):
    path = tmp_path / "job.jsonl"
    lines = ledger(GROUPS).split(b"\n")
    lines[line - 1] = lines[line - 1].replace(b'"event"', b'"evint"')
    path.write_bytes(b"\n".join(lines))

    with pytest.raises(
        LedgerError, match=rf"job.jsonl: line {line} is damaged.*ledger verify.*ledger repair"
    ):
        await opened(path)
    with pytest.raises(LedgerError, match=rf"job.jsonl: line {line} is damaged"):
        list(read_ledger(path))

    assert path.read_bytes() == b"\n".join(lines)


def test_reading_leaves_a_torn_tail_alone(tmp_path):
    path = tmp_path / "job.jsonl"
    data = ledger(GROUPS)[:-5]
    path.write_bytes(data)

    assert [decode(line) for _, line in read_ledger(path)] == EVENTS[:-1]
    assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


async def test_a_ledger_is_read_while_another_run_appends(tmp_path):
    path = tmp_path / "job.jsonl"
    async with open_ledger(path) as one:
        await one.append(RUN)
        reader = read_ledger(path)
        first = next(reader)[1]
        await one.append(seen(1))

        assert [first, *(line for _, line in reader)][:1] == [encode(RUN)]
        assert [decode(line) for _, line in read_ledger(path)] == [RUN, seen(1)]


def test_a_tail_that_is_replaced_while_it_is_read_is_no_damage(tmp_path):
    # The reader holds the torn tail's first megabyte when a run drops it and appends over it.
    path = tmp_path / "job.jsonl"
    long = seen(1, output="x" * (3 << 20))
    whole = ledger([[RUN], [long]])
    path.write_bytes(whole[:-5])
    reader = read_ledger(path)
    read = [next(reader)[1]]

    path.write_bytes(ledger([[RUN], [done(2)], [seen(1, output="y" * (3 << 20))]]))
    read += [line for _, line in reader]

    assert [decode(line) for line in read][:2] == [RUN, done(2)]


HOLDER = """
import sys, anyio
from pathlib import Path
from batchup.ledger import open_ledger

async def main():
    async with open_ledger(Path(sys.argv[1])):
        print("open", flush=True)
        sys.stdin.read()

anyio.run(main)
"""


async def test_a_second_run_is_refused_with_the_holder_and_let_in_when_it_is_killed(tmp_path):
    path = tmp_path / "job.jsonl"
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    with start(HOLDER, path) as holder:
        assert holder.stdout.readline() == b"open\n"

        for name in path, link:
            with pytest.raises(
                LedgerError, match=f"in use by another run, process {holder.pid} on {socket.gethostname()};"
            ):
                await opened(name)

        holder.kill()
    assert await opened(path) == []


# By flock itself: filelock gives up its locks in what is forked by Python, but not in what starts a program.
DIES_AND_LEAVES_A_CHILD = """
import fcntl, json, os, signal, socket, sys, time

file = open(sys.argv[1] + ".lock", "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}), file=file, flush=True)
if os.fork() == 0:
    time.sleep(float(sys.argv[2]))
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("child_s", "is_let_in"), [(0.3, True), (30, False)], ids=["an instant", "longer"])
async def test_a_child_that_outlives_a_killed_run_by_an_instant_keeps_nobody_out(
    tmp_path, child_s, is_let_in
):
    path = tmp_path / "job.jsonl"
    with start(DIES_AND_LEAVES_A_CHILD, path, child_s, start_new_session=True) as holder:
        holder.wait()

        try:
            if is_let_in:
                assert await opened(path) == []
            else:
                with pytest.raises(LedgerError, match="in use by another run, which has only just begun"):
                    await opened(path)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(holder.pid, signal.SIGKILL)


async def test_what_a_dead_holder_left_in_the_lock_file_means_nothing(tmp_path):
    path = tmp_path / "job.jsonl"
    (tmp_path / "job.jsonl.lock").write_text('{"pid": 1, "host": "elsewhere"}')

    assert await opened(path) == []
    assert (tmp_path / "job.jsonl.lock").read_text() == "\n"


async def test_one_process_cannot_open_it_twice(tmp_path):
    path = tmp_path / "job.jsonl"
    async with open_ledger(path):
        with pytest.raises(LedgerError, match=f"process {os.getpid()} on"):
            await opened(path)


async def test_an_error_in_the_block_frees_the_lock(tmp_path):
    path = tmp_path / "job.jsonl"
    with pytest.raises(KeyError):
        async with open_ledger(path):
            raise KeyError

    assert await opened(path) == []
