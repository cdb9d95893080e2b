"""Small outputs are examined several at a time, and each is judged by itself."""

import os
import signal

import anyio
import pytest

from batchup import digest
from batchup.errors import RejectedError
from batchup.examiner import Examiner
from batchup.outputs import Examination
from batchup.providers.local.pool import open_pool
from tests.library import children, photo


@pytest.fixture
def pictures(tmp_path):
    return [photo(tmp_path / f"{number}.png", (40, 30), number) for number in range(20)]


def examination(file, pixels=1200):
    return Examination(str(file), str(file), pixels=pixels, inherits="image")


async def examined(files, *, cancelled=0):
    """Return what each examination returned or raised, those left out that were cancelled."""
    found = {}

    async def one(examiner, file):
        try:
            found[file] = await examiner.examine(examination(file))
        except (RejectedError, OSError) as error:
            found[file] = error

    async with open_pool(1, 10**9) as pool, anyio.create_task_group() as group:
        examiner = Examiner(pool, 10**9)
        async with anyio.create_task_group() as first:
            for file in files[:cancelled]:
                first.start_soon(one, examiner, file)
            await anyio.lowlevel.checkpoint()
            for file in files[cancelled:]:
                group.start_soon(one, examiner, file)
            await anyio.lowlevel.checkpoint()
            if cancelled:
                first.cancel_scope.cancel()
    return found


async def test_each_of_many_gets_its_own_answer(pictures):
    found = await examined(pictures)

    assert {file: one.sha256 for file, one in found.items()} == {
        file: digest.sha256(file) for file in pictures
    }
    assert {(one.width, one.height) for one in found.values()} == {(40, 30)}


async def test_one_that_is_damaged_or_gone_is_nothing_to_the_others(pictures):
    damaged, gone, *whole = pictures
    damaged.write_bytes(damaged.read_bytes()[:60])
    gone.unlink()

    found = await examined(pictures)

    assert found[damaged].kind == "output_damaged"
    assert isinstance(found[gone], FileNotFoundError)
    assert {found[file].width for file in whole} == {40}


async def test_when_those_who_lead_are_cancelled_the_others_are_examined(pictures):
    found = await examined(pictures, cancelled=5)

    assert set(found) == set(pictures[5:])


async def test_when_a_process_dies_under_several_each_is_examined_by_itself(pictures):
    found = []

    async def one(examiner, file):
        found.append(await examiner.examine(examination(file)))

    async with open_pool(1, 10**9) as pool, anyio.create_task_group() as group:
        examiner = Examiner(pool, 10**9)
        await one(examiner, pictures[0])  # the process is there, and waits
        (worker,) = children(os.getpid())
        os.kill(worker, signal.SIGSTOP)
        for file in pictures[1:]:
            group.start_soon(one, examiner, file)
        await anyio.sleep(0.05)
        os.kill(worker, signal.SIGKILL)

    assert len(found) == len(pictures)
