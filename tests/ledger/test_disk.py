import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import anyio
import pytest

from batchup.errors import FatalError
from batchup.events import decode
from batchup.ledger import disk, open_ledger
from tests.ledger.samples import RUN, ledger, run, seen, start

# The system itself refuses to let the file grow past 4000 bytes; then it lets it.
FILLED = """
import resource, sys, anyio
from pathlib import Path
from batchup.errors import FatalError
from batchup.ledger import open_ledger
from tests.ledger.samples import run, seen

async def main():
    async with open_ledger(Path(sys.argv[1])) as one:
        await one.append(run())
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
        kept = 0
        try:
            while True:
                await one.append(seen(kept))
                kept += 1
        except FatalError as error:
            print(kept, error.stopped, error)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        await one.append(seen(1000))

anyio.run(main)
"""


async def replayed(path):
    async with open_ledger(path) as one:
        return [decode(line) for _, line in one.replay()]


async def test_a_full_disk_harms_nothing_and_later_there_may_be_room_again(tmp_path):
    path = tmp_path / "job.jsonl"
    with start(FILLED, path) as process:
        said = process.stdout.read().decode()

    kept = int(said.split()[0])
    assert said.split()[1] == "disk"
    assert f"{path}: the disk is full" in said
    assert f"free some space below {tmp_path}" in said
    assert await replayed(path) == [run(), *(seen(number) for number in range(kept)), seen(1000)]


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root mounts disks")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_on_a_really_full_disk_all_who_wait_are_told_and_what_was_written_is_whole(tiny_disk):
    path = tiny_disk / "job.jsonl"
    refused = []

    async def append(one, number):
        try:
            await one.append(seen(number, output="x" * 1000))
        except FatalError as error:
            refused.append((number, str(error)))

    async with open_ledger(path) as one:
        await one.append(RUN)
        for first in range(0, 100, 10):
            async with anyio.create_task_group() as group:
                for number in range(first, first + 10):
                    group.start_soon(append, one, number)

    numbers = {number for number, _ in refused}
    assert 0 < len(numbers) < 100
    assert all("the disk is full" in text for _, text in refused)
    kept = {event.output for event in (await replayed(path))[1:]}
    assert kept == {"x" * 1000}
    assert len((await replayed(path))[1:]) == 100 - len(numbers)


async def test_a_ledger_cannot_begin_on_a_disk_that_is_read_only(tiny_disk):
    await anyio.run_process(["mount", "-o", "remount,ro", str(tiny_disk)])

    with pytest.raises(FatalError, match="the ledger cannot be written") as caught:
        await replayed(tiny_disk / "job.jsonl")

    assert caught.value.stopped == "disk"


@pytest.fixture
def closed_folder():
    """A folder in which this process may not write, even if it is root's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield folder
    if is_root:
        os.seteuid(0)
    folder.chmod(0o755)
    folder.rmdir()


@pytest.mark.parametrize("name", ["job.jsonl", "out/.batchup/job.jsonl"])
async def test_a_folder_that_may_not_be_written_is_said(closed_folder, name):
    with pytest.raises(
        FatalError, match=r"job.jsonl: the ledger cannot be written \(Permission denied\)"
    ) as caught:
        await replayed(closed_folder / name)

    assert caught.value.stopped == "disk"


class Failing:
    """A sync that fails once."""

    def __init__(self, number):
        self.number = number
        self.armed = False

    def __call__(self, fd):
        if self.armed:
            self.armed = False
            raise OSError(self.number, os.strerror(self.number))
        disk.sync(fd)


async def test_after_a_failed_sync_nothing_is_written_any_more(tmp_path):
    path = tmp_path / "job.jsonl"
    sync = Failing(errno.EIO)
    async with open_ledger(path, sync=sync) as one:
        await one.append(RUN)
        sync.armed = True

        with pytest.raises(FatalError, match="the disk failed while the ledger was synced"):
            await one.append(seen(1))
        with pytest.raises(FatalError, match="nothing more is written") as caught:
            await one.append(seen(2))

        assert caught.value.stopped == "disk"
        assert [decode(line) for _, line in one.replay()] == [RUN]
    assert seen(2) not in await replayed(path)


async def test_a_sync_that_finds_the_disk_full_takes_its_write_back(tmp_path):
    path = tmp_path / "job.jsonl"
    sync = Failing(errno.ENOSPC)
    async with open_ledger(path, sync=sync) as one:
        await one.append(RUN)
        sync.armed = True
        with pytest.raises(FatalError, match="the disk is full"):
            await one.append(seen(1, output="x" * 500))
        after = path.read_bytes()

        await one.append(seen(2))

    assert after == ledger([[RUN]])
    assert path.read_bytes() == ledger([[RUN], [seen(2)]])


async def test_what_could_not_be_written_and_nobody_waits_for_is_said_at_the_end(tmp_path):
    sync = Failing(errno.ENOSPC)

    async def abandon():
        async with open_ledger(tmp_path / "job.jsonl", sync=sync) as one:
            await one.append(RUN)
            sync.armed = True
            async with anyio.create_task_group() as group:
                group.start_soon(one.append, seen(1))
                await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()

    with pytest.raises(FatalError, match="the disk is full"):
        await abandon()


def test_a_file_is_replaced_with_its_permissions_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(b"old")
    path.chmod(0o640)
    disk.replacement(path).write_bytes(b"left by a crash")

    disk.replace(path, [b"n", b"ew"])

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_stays(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(b"old")

    def pieces():
        yield b"ne"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        disk.replace(path, pieces())

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
